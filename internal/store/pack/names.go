package pack

// headerNames are names of headers that come often, each packed as its number, one
// byte, and not as its text: an attempt would else be a third longer. What is
// stored says them by their place here, so that names are only ever added, at the
// end, and by a release that does not write them yet: the one before it could not
// read them.
var headerNames = [...]string{
	1: "Content-Type", "Content-Length", "User-Agent", "Date", "Accept", "Accept-Encoding", "Traceparent",
	"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Idempotency-Key",
	"Seawall-Event", "Seawall-Attempt", "Seawall-Type", "Seawall-Entity", "Seawall-Version", "Seawall-Test",
	"Content-Encoding", "Cache-Control", "Connection", "Server", "Via", "Location", "Etag", "Vary",
	"Retry-After", "Cf-Ray", "Request-Id", "X-Request-Id", "X-Correlation-Id", "X-Amzn-Requestid", "X-Amzn-Trace-Id", "X-Amz-Cf-Id",
	"Tracestate", "Baggage", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
	"Stripe-Signature",
	"X-Github-Event", "X-Github-Delivery", "X-Hub-Signature", "X-Hub-Signature-256", "X-Github-Hook-Id",
	"X-Github-Hook-Installation-Target-Id", "X-Github-Hook-Installation-Target-Type",
	"X-Shopify-Topic", "X-Shopify-Hmac-Sha256", "X-Shopify-Shop-Domain", "X-Shopify-Api-Version", "X-Shopify-Webhook-Id",
	"X-Shopify-Event-Id", "X-Shopify-Triggered-At",
	"X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Slack-Retry-Num", "X-Slack-Retry-Reason",
	"X-Twilio-Signature", "I-Twilio-Idempotency-Token",
	"X-Signature-Ed25519", "X-Signature-Timestamp",
	"Svix-Id", "Svix-Timestamp", "Svix-Signature",
	"Authorization", "X-Api-Key", "X-Signature", "Signature",
}

var headerNumbers = func() map[string]uint64 {
	m := make(map[string]uint64, len(headerNames))
	for i, name := range headerNames[1:] {
		m[name] = uint64(i + 1)
	}
	return m
}()

// name packs the name of a header: its number, or 0 and its text.
func (p *packer) name(v string) {
	n := headerNumbers[v]
	if p.uint(n); n == 0 {
		p.text(v)
	}
}

func (u *unpacker) name() string {
	if u.layout < layoutHeaders {
		return u.text()
	}
	switch n := u.uint(); {
	case n == 0:
		return u.text()
	case n < uint64(len(headerNames)):
		return headerNames[n]
	default:
		u.b, u.err = nil, errPacked
		return ""
	}
}
