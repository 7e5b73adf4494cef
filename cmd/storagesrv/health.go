package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

type healthCommand struct {
	ConfigFlag
}

// Run asks /livez on the private listener of the server that the configuration
// describes.
func (c healthCommand) Run(ctx context.Context) error {
	settings, err := c.load()
	if err != nil {
		return err
	}
	if settings.HTTP.Admin == "" {
		return &usageError{fmt.Errorf("http.admin is off, so there is nobody to ask")}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", "http://"+reachable(settings.HTTP.Admin)+"/livez", nil)
	if err != nil {
		return &usageError{err}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/livez answers %s", response.Status)
	}
	return nil
}

// reachable is the address to dial for one to listen on: 0.0.0.0 is nobody.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
