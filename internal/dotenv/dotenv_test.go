package dotenv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/internal/dotenv"
)

const sample = `# tokens
PLAIN=abc
export SPACED =  two words   # a comment
HASH=a#b
EMPTY=
BLANK= # nothing
SINGLE='it is $HOME \n "as it is"' # c
DOUBLE="a\tb\n\"q\" \$X \z \\"
KEY="-----BEGIN-----
line two
-----END-----"
github.token=tok=en
`

var values = map[string]string{
	"PLAIN": "abc", "SPACED": "two words", "HASH": "a#b", "EMPTY": "", "BLANK": "",
	"SINGLE": `it is $HOME \n "as it is"`, "DOUBLE": "a\tb\n\"q\" $X \\z \\",
	"KEY": "-----BEGIN-----\nline two\n-----END-----", "github.token": "tok=en",
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, in := range []string{sample, strings.ReplaceAll(sample, "\n", "\r\n"), "\ufeff" + sample, strings.TrimSuffix(sample, "\n")} {
		d, err := dotenv.Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range values {
			got, ok := d.Get(name)
			if strings.Contains(in, "\r\n") {
				got = strings.ReplaceAll(got, "\r\n", "\n")
			}
			if !ok || got != want {
				t.Errorf("%s is %q, %v", name, got, ok)
			}
		}
		if len(d.Names()) != len(values) {
			t.Errorf("names: %q", d.Names())
		}
		if string(d.Bytes()) != in {
			t.Errorf("written back it is\n%q", d.Bytes())
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"A=1\nhidden\n":       "line 2: there is no = in it",
		"A=1\n\nA=hidden\n":   "A stands in line 1 and again in line 3",
		"A=\"1\n2\"\nB=\"hid": "line 3: the value of B has no closing \"",
		"A='1'hidden":         "line 1: something stands behind the closing '",
		"=hidden":             "line 1: there is no name",
		"hidden words=1":      "line 1: the name before the = holds a space",
		"A=\x00":              "NUL",
		"A=\xff":              "UTF-8",
	} {
		_, err := dotenv.Parse([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hid") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	d, err := dotenv.Parse([]byte("# one\nexport A='x' # of a\n\nB=2 # of b\nC=3"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"A": "it's\n", "B": "", "D": "two words"} {
		if err := d.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if !d.Remove("C") || d.Remove("C") {
		t.Error("C is removed once")
	}
	const want = "# one\nexport A=\"it's\\n\" # of a\n\nB= # of b\nD='two words'\n"
	if got := string(d.Bytes()); got != want {
		t.Errorf("got %q", got)
	}
	for _, name := range []string{"", "a b", "a=b", "#a", "export"} {
		if d.Set(name, "x") == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	for _, value := range []string{"\x00", "\xff"} {
		if d.Set("A", value) == nil {
			t.Errorf("the value %q was taken", value)
		}
	}
}

// What is set is read, whatever stands around it.
func FuzzSet(f *testing.F) {
	f.Add(sample, "PLAIN", "a\n'\"\\$# b")
	f.Add("A=1", "B", " # ")
	f.Add("X= # c", "X", "#")
	f.Fuzz(func(t *testing.T, in, name, value string) {
		d, err := dotenv.Parse([]byte(in))
		if err != nil {
			return
		}
		if string(d.Bytes()) != in {
			t.Fatalf("%q is written back as %q", in, d.Bytes())
		}
		before := map[string]string{}
		for _, n := range d.Names() {
			before[n], _ = d.Get(n)
		}
		if d.Set(name, value) != nil {
			return
		}
		before[name] = value
		again, err := dotenv.Parse(d.Bytes())
		if err != nil {
			t.Fatalf("%v: %q", err, d.Bytes())
		}
		after := map[string]string{}
		for _, n := range again.Names() {
			after[n], _ = again.Get(n)
		}
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Fatalf("%q is read as %q from %q", before, after, d.Bytes())
		}
	})
}
