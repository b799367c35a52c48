package provider

import "log/slog"

// A Secret never shows itself: not in a message, a log or JSON. Only Value does.

const hidden = "•••"

func (s Secret) String() string               { return hidden }
func (s Secret) GoString() string             { return hidden }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
