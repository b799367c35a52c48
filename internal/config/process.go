package config

import "path/filepath"

// LoadNode reads only what belongs to the process, for commands that look for a
// running gateway or its store: they need neither its secrets nor that the rest
// of the file is valid. The error is as [Load]'s.
func LoadNode(path string, opt Options) (Node, error) {
	opt = opt.withDefaults()
	text, err := opt.ReadFile(path)
	if err != nil {
		return Node{}, err
	}
	if opt.Dir == "" {
		opt.Dir = filepath.Dir(path)
	}
	r := newReader(path, opt)
	root := r.parse(text)
	if len(r.problems) > 0 {
		return Node{}, r.problems.sorted()
	}
	o := value{r: r, node: root, line: 1, col: 1}.open("")
	o.env = "SEAWALL_"
	r.problems = nil // keys that do not exist are no concern here
	n := r.node(o)
	if len(r.problems) > 0 {
		return Node{}, r.problems.sorted()
	}
	return n, nil
}
