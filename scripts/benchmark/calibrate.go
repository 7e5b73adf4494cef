//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"storagesrv/storage/sftp/sftptest"
)

// calibrate says how long a byte takes to go through a proxy and come back:
// on a busy machine longer than it should.
func calibrate() (string, error) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer echo.Close()
	go func() { // ends with the connection, or the listener
		if tcp, err := echo.Accept(); err == nil {
			io.Copy(tcp, tcp)
			tcp.Close()
		}
	}()
	proxy, err := sftptest.StartProxy(echo.Addr().String())
	if err != nil {
		return "", err
	}
	defer proxy.Close()
	tcp, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		return "", err
	}
	defer tcp.Close()
	var took []any
	for _, roundTrip := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond} {
		proxy.SetDelay(roundTrip / 2)
		median, err := pingMedian(tcp)
		if err != nil {
			return "", fmt.Errorf("ping through a proxy: %w", err)
		}
		took = append(took, median)
	}
	return fmt.Sprintf("A round trip of 0, 1, 10 ms took %s, %s, %s ms", took...), nil
}

// pingMedian returns it in ms.
func pingMedian(tcp net.Conn) (string, error) {
	var samples []float64
	for range 21 {
		start := time.Now()
		_, err := tcp.Write([]byte{0})
		_, err2 := io.ReadFull(tcp, make([]byte, 1))
		if err := errors.Join(err, err2); err != nil {
			return "", err
		}
		samples = append(samples, time.Since(start).Seconds()*1000)
	}
	slices.Sort(samples)
	return short(quantile(samples, 0.5)), nil
}
