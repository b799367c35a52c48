//go:build !unix

package send

const canLook = false // so nothing goes over a wire

func quiet(uintptr) bool { return false }
