// Package expr compiles and runs the expressions of the configuration: a
// bounded subset of jq. Expressions are written by operators, not by strangers,
// but they run on strangers' payloads: they reach no environment, file, network
// or clock, and are bounded in time, input and output.
package expr

// The exported surface, to be kept small:
//
//	func Compile(src string) (*Code, error)            // *SyntaxError with offset, message, hint
//	func CompileTemplate(src string) (*Template, error) // text with {…} interpolation
//	func (c *Code) Run(ctx context.Context, in *Input) (any, error)      // first output; Null if none
//	func (c *Code) Bool(ctx context.Context, in *Input) (bool, error)    // jq truth
//	func (c *Code) String(ctx context.Context, in *Input) (string, bool, error) // scalar as text, numbers exactly as written; false if null
//	func (c *Code) JSON(ctx context.Context, in *Input) ([]byte, error)
//	func (c *Code) Source() string
//	func (t *Template) Expand(ctx context.Context, in *Input, escape Escape) (string, error)
//
// Input is a payload that is parsed at most once, on first use, with the scope
// variables $event and so on.
