package config

import "time"

// Audit is where it is written down who played what. Without the section it is
// written nowhere.
type Audit struct {
	File     string    `yaml:"file"`     // "" = standard output
	Quiet    *Duration `yaml:"quiet"`    // requests of a listener closer than this are one playback; nil stands for the default
	Required bool      `yaml:"required"` // no playback that cannot be written down
}

const defaultQuiet = 30 * time.Second

func (c *Config) validateAudit(in source) error {
	a := c.Audit
	switch {
	case a == nil && in.has("audit"):
		return in.fault("audit", "is empty; write audit: {file: /var/log/storagesrv/audit.jsonl}, or audit: {} for standard output")
	case a == nil:
		return nil
	case a.Quiet == nil:
		a.Quiet = new(Duration(defaultQuiet))
	case time.Duration(*a.Quiet) < time.Second || time.Duration(*a.Quiet) > time.Hour:
		return in.fault("audit.quiet", "must be between 1s and 1h")
	}
	return nil
}
