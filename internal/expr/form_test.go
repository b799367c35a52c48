package expr

import (
	"testing"
)

func TestFormsAreReadAsStructures(t *testing.T) {
	for form, want := range map[string]string{
		`metadata[order_id]=7&amount=2`:       `{"amount":"2","metadata":{"order_id":"7"},"metadata[order_id]":"7"}`,
		`items[0][price]=a&items[1][price]=b`: `{"items":[{"price":"a"},{"price":"b"}],"items[0][price]":"a","items[1][price]":"b"}`,
		`items[1][price]=b`:                   `{"items":{"1":{"price":"b"}},"items[1][price]":"b"}`,
		`a[]=1`:                               `{"a":["1"],"a[]":"1"}`,
		`a[]=1&a[]=2`:                         `{"a":["1","2"],"a[]":["1","2"]}`,
		`a=1&a[b]=2`:                          `{"a":"1","a[b]":"2"}`,
		`a[b]=1&a[b][c]=2`:                    `{"a":{"b":"1"},"a[b]":"1","a[b][c]":"2"}`,
		`a[=1&[b]=2&a]=3&c[d]e=4`:             `{"[b]":"2","a[":"1","a]":"3","c[d]e":"4"}`,
		`a[][b]=1`:                            `{"a[][b]":"1"}`,
		`a[1][2][3][4][5][6][7][8]=x`:         `{"a[1][2][3][4][5][6][7][8]":"x"}`,
	} {
		code, err := Compile(".")
		if err != nil {
			t.Fatal(err)
		}
		got, err := code.JSON(t.Context(), NewInput([]byte(form), "application/x-www-form-urlencoded", Event{}))
		if err != nil || string(got) != want {
			t.Errorf("%s\n got %s, %v\nwant %s", form, got, err, want)
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add("a[b]=1&a[0]=2&a[]=3&a[b][c]=4")
	f.Fuzz(func(t *testing.T, form string) {
		v, err := parseForm([]byte(form))
		if err != nil {
			return
		}
		if _, ok := v.(map[string]any); !ok {
			t.Errorf("%q came out as %T", form, v)
		}
	})
}
