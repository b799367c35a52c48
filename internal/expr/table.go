package expr

// A price says what calling a function costs beside the steps of the
// interpreter, and so what the rewriter puts around the call.
type price uint8

const (
	free    price = iota // interpreted step by step, or constant
	shallow              // grows with the input and the arguments themselves
	across               // looks at all that they hold
	copies               // and copies it as text
	sorts                // and compares it again and again
	each                 // compares what its arguments give for each item
	special              // the rewriter knows: see call.go
)

// functions are all that an expression may call, by name and number of arguments.
var functions = map[string]price{
	"empty/0": free, "error/0": copies, "error/1": copies, "not/0": free, "type/0": free,
	"select/1": free, "map/1": free, "map_values/1": special, "path/1": free,
	"has/1": free, "in/1": free, "getpath/1": special, "setpath/2": special, "delpaths/1": across, "del/1": special, "pick/1": free,
	"paths/0": free, "paths/1": free, "walk/1": free,
	"first/0": free, "first/1": free, "last/0": free, "last/1": free, "nth/1": special, "nth/2": free,
	"limit/2": free, "skip/2": free, "isempty/1": free,
	"any/0": free, "any/1": free, "any/2": free, "all/0": free, "all/1": free, "all/2": free,

	"values/0": free, "nulls/0": free, "strings/0": free, "numbers/0": free, "booleans/0": free,
	"arrays/0": free, "objects/0": free, "iterables/0": free, "scalars/0": free, "finites/0": free, "normals/0": free,

	"length/0": shallow, "utf8bytelength/0": shallow, "keys/0": shallow, "reverse/0": shallow,
	"to_entries/0": shallow, "from_entries/0": shallow, "with_entries/1": special,
	"add/0": across, "add/1": special, "flatten/0": across, "flatten/1": across, "join/1": special,
	"contains/1": special, "inside/1": special, "index/1": special, "rindex/1": special, "indices/1": special,
	"min/0": sorts, "max/0": sorts, "sort/0": sorts, "unique/0": sorts, "bsearch/1": across,
	"min_by/1": each, "max_by/1": each, "sort_by/1": each, "unique_by/1": each, "group_by/1": each,
	"IN/1": across, "IN/2": each, "INDEX/1": each, "INDEX/2": each,

	"tostring/0": copies, "tojson/0": copies, "fromjson/0": special, "tonumber/0": special, "toboolean/0": free,
	"ascii_downcase/0": shallow, "ascii_upcase/0": shallow, "explode/0": special, "implode/0": shallow,
	"ltrimstr/1": shallow, "rtrimstr/1": shallow, "trimstr/1": shallow, "trim/0": shallow, "ltrim/0": shallow, "rtrim/0": shallow,
	"startswith/1": shallow, "endswith/1": shallow, "split/1": special,
	"test/1": special, "test/2": special, "match/1": special, "match/2": special, "capture/1": special, "capture/2": special,
	"scan/1": special, "scan/2": special, "split/2": special, "splits/1": special, "splits/2": special,
	"sub/2": special, "sub/3": special, "gsub/2": special, "gsub/3": special,

	"abs/0": free, "floor/0": free, "ceil/0": free, "round/0": free, "trunc/0": free, "fabs/0": free, "sqrt/0": free,
	"pow/2": free, "exp/0": free, "exp2/0": free, "exp10/0": free, "log/0": free, "log2/0": free, "log10/0": free,
	"infinite/0": free, "nan/0": free, "isinfinite/0": free, "isnan/0": free, "isnormal/0": free, "isfinite/0": free,

	"todate/0": free, "fromdate/0": shallow, "todateiso8601/0": free, "fromdateiso8601/0": shallow,
	"strptime/1": shallow, "strftime/1": special, "mktime/0": free, "gmtime/0": free,

	"md5/0": special, "sha1/0": special, "sha256/0": special, "sha512/0": special, "base64url/0": special,
}

// formats are the @ formats.
var formats = map[string]bool{
	"@text": true, "@json": true, "@html": true, "@uri": true, "@urid": true, "@csv": true, "@tsv": true,
	"@sh": true, "@base64": true, "@base64d": true,
}

// refusals say why jq has a function and we do not.
var refusals = map[string]string{
	"range":             "it may run without bound; go over what the payload holds: .items[]",
	"repeat":            "it may run without bound",
	"until":             "it may run without bound",
	"while":             "it may run without bound",
	"recurse":           "it may run without bound; “..” goes through all that a value holds",
	"recurse_down":      "it may run without bound; “..” goes through all that a value holds",
	"combinations":      "its result may be far larger than the payload",
	"transpose":         "its result may be far larger than the payload",
	"input":             "there is one payload, and it is “.”",
	"inputs":            "there is one payload, and it is “.”",
	"input_filename":    "expressions reach no file",
	"input_line_number": "expressions reach no file",
	"env":               "expressions reach no environment; write ${NAME} in the configuration",
	"debug":             "expressions write nowhere",
	"stderr":            "expressions write nowhere",
	"now":               "the same event must give the same result on each try; $event.received_at is the time it came",
	"localtime":         "it depends on the machine; use gmtime",
	"strflocaltime":     "it depends on the machine; use strftime",
	"halt":              "use error(\"…\")",
	"halt_error":        "use error(\"…\")",
}
