package config

// Credentials that are printed or logged by mistake show nothing.

const hidden = "•••"

func (Bearer) String() string    { return hidden }
func (Basic) String() string     { return hidden }
func (HeaderKey) String() string { return hidden }
func (QueryKey) String() string  { return hidden }
func (OAuth2) String() string    { return hidden }
func (HMAC) String() string      { return hidden }
func (SealKey) String() string   { return hidden }

func (Bearer) GoString() string    { return hidden }
func (Basic) GoString() string     { return hidden }
func (HeaderKey) GoString() string { return hidden }
func (QueryKey) GoString() string  { return hidden }
func (OAuth2) GoString() string    { return hidden }
func (HMAC) GoString() string      { return hidden }
func (SealKey) GoString() string   { return hidden }
