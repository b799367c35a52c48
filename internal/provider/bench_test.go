package provider

import (
	"strings"
	"testing"
	"time"
)

// What a request costs before it is stored: verify and identify, 1 KB.
func BenchmarkRequest(b *testing.B) {
	now := time.Unix(1795400000, 0)
	for _, name := range []string{"stripe", "github", "standardwebhooks", "shopify", "token"} {
		s := settingsFor(name)
		src, err := Open(s)
		if err != nil {
			b.Fatal(err)
		}
		r, err := Sample(name, "bench", "https://hooks.example.com/in/x", now)
		if err != nil {
			b.Fatal(err)
		}
		// The padding stands before the last field, so that the whole body is read.
		at := strings.LastIndex(string(r.Body), `,"`)
		pad := `,"items":[` + strings.Repeat(`{"sku":"a-1","n":2,"price":"9.99"},`, 40)[:35*((1024-len(r.Body))/35)-1] + `]`
		r.Body = []byte(string(r.Body[:at]) + pad + string(r.Body[at:]))
		if err := SignRequest(s, r); err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(r.Body)))
			for b.Loop() {
				if _, err := src.Verify(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/identify", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(r.Body)))
			for b.Loop() {
				if items, problem := src.Identify(r); len(items) != 1 || problem != "" {
					b.Fatal(items, problem)
				}
			}
		})
	}
}

// An event of GitHub's that names no object is read to its end.
func BenchmarkIdentifyWhole(b *testing.B) {
	src, err := Open(settingsFor("github"))
	if err != nil {
		b.Fatal(err)
	}
	r, err := Sample("github", "bench", "https://hooks.example.com/in/x", time.Unix(1795400000, 0))
	if err != nil {
		b.Fatal(err)
	}
	for name, body := range map[string]string{
		"flat": `{"seq":"000000000001","action":"opened","number":1,"repository":{"id":186853002,"full_name":"octocat/hello-world","private":false},` +
			`"sender":{"id":1,"login":"octocat"},"text":"` + strings.Repeat("x", 840) + `"}`,
		"deep": `{"action":"opened","number":1,"repository":{"id":186853002,"full_name":"octocat/hello-world","owner":{"id":1,"login":"octocat"},"topics":["a","b"]},` +
			`"changes":[` + strings.Repeat(`{"sku":"a-1","n":2,"price":"9.99"},`, 22) + `{}],"sender":{"id":1,"login":"octocat"}}`,
	} {
		r.Body = []byte(body)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(r.Body)))
			for b.Loop() {
				if items, problem := src.Identify(r); len(items) != 1 || problem != "" || items[0].Entity == "" {
					b.Fatal(items, problem)
				}
			}
		})
	}
}
