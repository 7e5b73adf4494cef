package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseAudit(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "none"},
		{"audit: {}\n", `"" 30s false`},
		{"audit: {file: ''}\n", `"" 30s false`},
		{"audit: {file: /var/log/audit.jsonl, quiet: 5m, required: true}\n", `"/var/log/audit.jsonl" 5m0s true`},
		{"audit:\n", `x.yaml:5:8: audit: is empty`},
		{"audit:\n  # file: x\n", `audit: is empty`},
		{"audit: {quiet: 0s}\n", `x.yaml:5:16: audit.quiet: must be between 1s and 1h`},
		{"audit: {quiet: 2h}\n", `audit.quiet: must be between`},
		{"audit: {quiet: 30}\n", `audit.quiet: must be a duration`},
		{"audit: {path: x}\n", `x.yaml:5:9: audit.path: unknown key`},
		{"audit: true\n", `x.yaml:5:8: audit: `},
	} {
		got, err := Parse("x.yaml", []byte(minimal+c.text))
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, want %s", c.text, err, c.want)
			}
			continue
		}
		if s := describeAudit(got.Audit); s != c.want {
			t.Errorf("%q: %s, want %s", c.text, s, c.want)
		}
	}
}

func describeAudit(a *Audit) string {
	if a == nil {
		return "none"
	}
	return fmt.Sprintf("%q %v %v", a.File, time.Duration(*a.Quiet), a.Required)
}

func TestTheAuditFileIsBesideTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{"audit: {file: audit.jsonl}": filepath.Join(dir, "audit.jsonl"), "audit: {}": ""} {
		file := filepath.Join(dir, "x.yaml")
		if err := os.WriteFile(file, []byte(minimal+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if c.Audit.File != want {
			t.Errorf("%s: %q", text, c.Audit.File)
		}
	}
}
