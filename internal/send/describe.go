package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// stage is how far an attempt came.
type stage uint8

const (
	stageConnect stage = iota
	stageHeader
	stageBody
)

// describe says in plain words why an attempt failed.
func describe(err error, to *url.URL, limits Timeouts, at stage) string {
	var refused *seawall.Error
	if errors.As(err, &refused) {
		if hint := seawall.Hint(refused); hint != "" {
			return fmt.Sprintf("egress: %s; %s", refused, hint)
		}
		return "egress: " + refused.Error()
	}
	if s := describeDNS(err); s != "" {
		return s
	}
	if s := describeTLS(err, to, limits); s != "" {
		return s
	}
	if isTimeout(err) {
		return describeTimeout(err, limits, at)
	}
	return describeConn(err, at)
}

func describeDNS(err error) string {
	var e *net.DNSError
	switch {
	case !errors.As(err, &e):
		return ""
	case e.IsNotFound:
		return "dns: no such host " + clip(e.Name)
	case e.IsTimeout:
		return "dns: timeout looking up " + clip(e.Name)
	default:
		return clip(fmt.Sprintf("dns: %s: %s", e.Name, e.Err))
	}
}

func describeTLS(err error, to *url.URL, limits Timeouts) string {
	var (
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		verify    *tls.CertificateVerificationError
	)
	name := to.Hostname()
	switch {
	case errors.As(err, &host):
		return clip(fmt.Sprintf("tls: certificate is for %s, not for host %s", names(host.Certificate), name))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c := invalid.Cert
		if strings.Contains(invalid.Detail, "is before") {
			return fmt.Sprintf("tls: certificate not valid before %s, for host %s", c.NotBefore.UTC().Format(time.RFC3339), name)
		}
		return fmt.Sprintf("tls: certificate expired on %s, for host %s", c.NotAfter.UTC().Format(time.RFC3339), name)
	case errors.As(err, &authority):
		return "tls: certificate signed by an unknown authority, for host " + name
	case errors.As(err, &verify):
		return clip(fmt.Sprintf("tls: certificate refused, for host %s: %s", name, verify.Err))
	case errors.As(err, &record):
		return "tls: the server does not speak TLS on this port; is the URL meant to be http://?"
	case errors.As(err, &alert):
		return clip(fmt.Sprintf("tls: the server ended the handshake: %s", alert.Error()))
	case strings.Contains(err.Error(), "TLS handshake timeout"):
		return fmt.Sprintf("tls: timeout after %s in the handshake", limits.TLS)
	case strings.HasPrefix(err.Error(), "tls: "):
		return clip(err.Error())
	}
	return ""
}

func names(c *x509.Certificate) string {
	if len(c.DNSNames) == 0 {
		return "no host"
	}
	return strings.Join(c.DNSNames[:min(len(c.DNSNames), 4)], ", ")
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

func describeTimeout(err error, limits Timeouts, at stage) string {
	// The timeouts of net and net/http answer to errors.Is as well; only that of
	// the whole is this very value.
	whole := err == context.DeadlineExceeded
	switch {
	case at == stageConnect && whole:
		return fmt.Sprintf("timeout after %s waiting for a connection", limits.Whole)
	case at == stageConnect:
		return fmt.Sprintf("connect: timeout after %s", limits.Connect)
	case at == stageBody:
		return fmt.Sprintf("timeout after %s", limits.Whole)
	case whole:
		return fmt.Sprintf("timeout after %s waiting for the response header", limits.Whole)
	default:
		return fmt.Sprintf("timeout after %s waiting for the response header", limits.Header)
	}
}

func describeConn(err error, at stage) string {
	var op *net.OpError
	dialling := errors.As(err, &op) && op.Op == "dial"
	text := err.Error()
	switch {
	case dialling && errors.Is(err, syscall.ECONNREFUSED):
		return "connect: refused by " + address(op)
	case dialling:
		return clip(fmt.Sprintf("connect: %s: %s", address(op), op.Err))
	case strings.Contains(text, "response headers exceeded"), strings.Contains(text, "header list larger"), strings.Contains(text, "header list too large"):
		return fmt.Sprintf("response header exceeds %d KiB", maxHeader>>10)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset by the server" + before(at)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "server closed idle connection"):
		return "connection closed by the server" + before(at)
	}
	return clip(text)
}

func before(at stage) string {
	if at == stageBody {
		return ""
	}
	return " before it answered"
}

func address(op *net.OpError) string {
	if op.Addr == nil {
		return "the server"
	}
	return op.Addr.String()
}

// clip bounds what a server could put into an error.
func clip(s string) string {
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
