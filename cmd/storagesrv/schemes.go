package main

import (
	"fmt"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/config"
)

// schemes are the ways in besides tokens, in the order in which they are tried:
// the web app is asked about those alone whom nothing else lets in.
func (s *service) schemes(c config.Access) (schemes []access.Scheme, err error) {
	if c.JWT != nil {
		jwt, err := s.jwt(c.JWT)
		if err != nil {
			return nil, fmt.Errorf("access.jwt.%w", err)
		}
		schemes = append(schemes, jwt)
	}
	if c.Forward != nil {
		forward, err := s.forward(c.Forward)
		if err != nil {
			return nil, fmt.Errorf("access.forward.%w", err)
		}
		schemes = append(schemes, forward)
	}
	return schemes, nil
}

func (s *service) jwt(c *config.JWT) (*access.JWT, error) {
	roots, err := authorities(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	out := access.JWTConfig{
		Issuer:     c.Issuer,
		Audience:   c.Audience,
		Cookie:     c.Cookie,
		CallsClaim: c.CallsClaim,
		JWKSURL:    c.JWKSURL,
		RootCAs:    roots,
		Timeout:    time.Duration(c.Timeout),
		Log:        s.log,
	}
	key := "jwks_url"
	if c.JWKSFile != "" {
		key = "jwks_file"
		if out.JWKS, err = config.JWKS(c.JWKSFile); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	} else {
		out.Observe = s.metrics.fetches()
	}
	jwt, err := access.NewJWT(out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	s.closers = append(s.closers, jwt.Close)
	return jwt, nil
}

func (s *service) forward(c *config.Forward) (*access.Forward, error) {
	roots, err := authorities(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	forward, err := access.NewForward(access.ForwardConfig{
		URL:           c.URL,
		Headers:       c.Headers,
		Timeout:       time.Duration(c.Timeout),
		MaxConcurrent: c.MaxConcurrent,
		CacheTTL:      time.Duration(*c.CacheTTL),
		UserHeader:    c.UserHeader,
		RootCAs:       roots,
		Observe:       s.metrics.questions(),
	})
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	s.closers = append(s.closers, forward.Close)
	return forward, nil
}
