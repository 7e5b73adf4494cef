package config

import (
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// A badValue is a value that a type of ours does not take.
type badValue struct{ yaml.SyntaxError }

func bad(node ast.Node, message string) error {
	return &badValue{yaml.SyntaxError{Message: message, Token: node.GetToken()}}
}

// A Duration is written as 30s, 5m or 24h.
type Duration time.Duration

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (d *Duration) UnmarshalYAML(node ast.Node) error {
	text, ok := node.(*ast.StringNode)
	if !ok {
		return bad(node, "must be a duration, such as 30s")
	}
	parsed, err := time.ParseDuration(text.Value)
	if err != nil || parsed < 0 {
		return bad(node, "must be a duration, such as 30s")
	}
	*d = Duration(parsed)
	return nil
}

// A Size is a number of bytes, written as 0, 512KiB, 256MiB or 1GiB.
type Size int64

var sizes = regexp.MustCompile(`^([0-9]{1,9})(KiB|MiB|GiB|TiB)$`)

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (s *Size) UnmarshalYAML(node ast.Node) error {
	const message = "must be a size, such as 256MiB, or 0"
	if number, ok := node.(*ast.IntegerNode); ok && number.GetToken().Value == "0" {
		*s = 0
		return nil
	}
	text, ok := node.(*ast.StringNode)
	if !ok {
		return bad(node, message)
	}
	parts := sizes.FindStringSubmatch(text.Value)
	if parts == nil {
		return bad(node, message)
	}
	shift := map[string]uint{"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[parts[2]]
	number, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || number > math.MaxInt64>>shift {
		return bad(node, message)
	}
	*s = Size(number << shift)
	return nil
}
