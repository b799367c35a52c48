package config

import (
	"path/filepath"
	"slices"
)

// LoadNode reads only what belongs to the process, for commands that work on its
// store: they need neither the other secrets nor that the rest of the file is
// valid. The error is as [Load]'s.
func LoadNode(path string, opt Options) (Node, error) {
	n, problems, err := loadNode(path, opt)
	if err != nil {
		return Node{}, err
	}
	if len(problems) > 0 {
		return Node{}, problems.sorted()
	}
	return n, nil
}

// LoadAdmin reads only the address of the admin listener, for commands that look
// for a running gateway: they need not know how to reach its store.
func LoadAdmin(path string, opt Options) (string, error) {
	n, problems, err := loadNode(path, opt)
	if err != nil {
		return "", err
	}
	problems = slices.DeleteFunc(problems, func(p *Problem) bool { return p.Key == "store" || p.Key == "SEAWALL_STORE" })
	if len(problems) > 0 {
		return "", problems.sorted()
	}
	return n.Admin, nil
}

func loadNode(path string, opt Options) (Node, Errors, error) {
	opt = opt.withDefaults()
	text, err := opt.ReadFile(path)
	if err != nil {
		return Node{}, nil, err
	}
	if opt.Dir == "" {
		opt.Dir = filepath.Dir(path)
	}
	r := newReader(path, opt)
	root := r.parse(text)
	if len(r.problems) > 0 {
		return Node{}, nil, r.problems.sorted()
	}
	o := value{r: r, node: root, line: 1, col: 1}.open("")
	o.env = "SEAWALL_"
	r.problems = nil // keys that do not exist are no concern here
	return r.node(o), r.problems, nil
}
