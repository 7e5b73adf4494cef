package sftptest_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"storagesrv/storage/sftp/sftptest"
	"storagesrv/storage/storagetest"
)

func TestMain(m *testing.M) { storagetest.Main(m) }

// hangs is when something counts as stuck.
const hangs = time.Minute

// peer runs a server that handles each connection with serve, and returns a
// proxy before it.
func peer(t testing.TB, serve func(net.Conn)) *sftptest.Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			tcp, err := listener.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer tcp.Close()
				serve(tcp)
			})
		}
	})
	proxy, err := sftptest.StartProxy(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		listener.Close()
		proxy.Close()
		tasks.Wait()
		if n := proxy.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	return proxy
}

func echo(tcp net.Conn) { io.Copy(tcp, tcp) }

func dial(t testing.TB, proxy *sftptest.Proxy) net.Conn {
	t.Helper()
	tcp, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	tcp.SetDeadline(time.Now().Add(hangs))
	return tcp
}

// echoes says something and reads it back.
func echoes(tcp net.Conn) error {
	if _, err := tcp.Write([]byte("hello")); err != nil {
		return err
	}
	got := make([]byte, 5)
	_, err := io.ReadFull(tcp, got)
	return err
}

// silent asserts that nothing comes for a while.
func silent(t testing.TB, tcp net.Conn) {
	t.Helper()
	tcp.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	defer tcp.SetReadDeadline(time.Now().Add(hangs))
	if n, err := tcp.Read(make([]byte, 1)); n != 0 || !isTimeout(err) {
		t.Errorf("read %d bytes, %v; want silence", n, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hangs); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestAProxyPassesEverythingOn(t *testing.T) {
	sent := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{}).Read(sent)
	for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
		proxy := peer(t, echo)
		proxy.SetDelay(delay)
		var clients sync.WaitGroup
		for range 4 {
			tcp := dial(t, proxy)
			clients.Go(func() {
				tcp.Write(sent)
				tcp.(*net.TCPConn).CloseWrite()
			})
			clients.Go(func() {
				if got, err := io.ReadAll(tcp); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("delay %v: %d bytes, %v", delay, len(got), err)
				}
			})
		}
		clients.Wait()
		if got := proxy.Received(); got != int64(4*len(sent)) {
			t.Errorf("delay %v: counted %d bytes", delay, got)
		}
	}
}

func TestAProxyDelays(t *testing.T) {
	proxy := peer(t, echo)
	tcp := dial(t, proxy)
	const oneWay = 100 * time.Millisecond
	proxy.SetDelay(oneWay)
	began := time.Now()
	if err := echoes(tcp); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 2*oneWay {
		t.Errorf("a round trip took %v", took)
	}
	began = time.Now()
	const packets = 300
	for range packets { // on their way they do not wait for each other
		tcp.Write(make([]byte, 1000))
		time.Sleep(time.Millisecond)
	}
	if _, err := io.ReadFull(tcp, make([]byte, packets*1000)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > packets*oneWay/2 {
		t.Errorf("%d packets took %v", packets, took)
	}
}

func TestAProxyCutsAtAByteOnce(t *testing.T) {
	proxy := peer(t, func(tcp net.Conn) { tcp.Write(make([]byte, 1<<20)) })
	for _, n := range []int64{1, 1000, 100_000, 1 << 20} {
		proxy.CutAfter(n)
		if got, _ := io.ReadAll(dial(t, proxy)); int64(len(got)) != n {
			t.Errorf("%d bytes came before the cut, want %d", len(got), n)
		}
		if got, err := io.ReadAll(dial(t, proxy)); len(got) != 1<<20 || err != nil {
			t.Errorf("after the cut: %d bytes, %v", len(got), err)
		}
	}
}

func TestAFrozenProxyIsSilent(t *testing.T) {
	proxy := peer(t, echo)
	before := dial(t, proxy)
	if err := echoes(before); err != nil {
		t.Fatal(err)
	}
	proxy.Freeze(true)
	after := dial(t, proxy)
	for _, tcp := range []net.Conn{before, after} {
		tcp.Write([]byte("a"))
		silent(t, tcp)
	}
	leaver := dial(t, proxy)
	eventually(t, "three are connected", func() bool { return proxy.Connections() == 3 })
	leaver.Close()
	eventually(t, "one left", func() bool { return proxy.Connections() == 2 })
	proxy.Freeze(false)
	for _, tcp := range []net.Conn{before, after} {
		if got, err := io.ReadFull(tcp, make([]byte, 1)); err != nil {
			t.Errorf("afterwards: %d bytes, %v", got, err)
		}
	}
}

func TestAProxyForgets(t *testing.T) {
	proxy := peer(t, echo)
	old := dial(t, proxy)
	if err := echoes(old); err != nil {
		t.Fatal(err)
	}
	proxy.Forget()
	old.Write([]byte("a"))
	silent(t, old)
	if err := echoes(dial(t, proxy)); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	silent(t, old)
}

func TestAProxyTakesTheOldest(t *testing.T) {
	proxy := peer(t, echo)
	var all []net.Conn
	for range 3 {
		tcp := dial(t, proxy)
		if err := echoes(tcp); err != nil {
			t.Fatal(err)
		}
		all = append(all, tcp)
	}
	for i := range 2 {
		proxy.ForgetOldest()
		all[i].Write([]byte("a"))
		silent(t, all[i])
		if err := echoes(all[i+1]); err != nil {
			t.Errorf("connection %d, behind the oldest: %v", i+1, err)
		}
	}
	proxy.ResetOldest()
	if err := echoes(all[2]); err == nil || isTimeout(err) {
		t.Errorf("the last one was to be reset: %v", err)
	}
}

func TestAProxyResets(t *testing.T) {
	ended := make(chan error, 1)
	proxy := peer(t, func(tcp net.Conn) {
		_, err := io.Copy(tcp, tcp)
		ended <- err
	})
	tcp := dial(t, proxy)
	if err := echoes(tcp); err != nil {
		t.Fatal(err)
	}
	proxy.Reset()
	if _, err := tcp.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v", err)
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server got %v", err)
	}
	if err := echoes(dial(t, proxy)); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestAProxyRefuses(t *testing.T) {
	proxy := peer(t, echo)
	old := dial(t, proxy)
	if err := echoes(old); err != nil {
		t.Fatal(err)
	}
	refused := func() {
		t.Helper()
		tcp, err := net.Dial("tcp", proxy.Addr())
		if err == nil {
			tcp.SetDeadline(time.Now().Add(hangs))
			_, err = tcp.Read(make([]byte, 1))
			tcp.Close()
		}
		if err == nil || err == io.EOF || isTimeout(err) {
			t.Errorf("a refused connection got %v", err)
		}
	}
	proxy.Refuse(true)
	refused()
	if err := echoes(old); err != nil {
		t.Errorf("an old connection: %v", err)
	}
	proxy.Refuse(false)
	if err := echoes(dial(t, proxy)); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestAProxyTellsEachSideThatTheOtherLeft(t *testing.T) {
	gone := make(chan struct{})
	proxy := peer(t, func(tcp net.Conn) {
		io.Copy(io.Discard, tcp)
		close(gone)
	})
	dial(t, proxy).Close()
	select {
	case <-gone:
	case <-time.After(hangs):
		t.Error("the server was not told")
	}
	eventually(t, "nothing is left", func() bool { return proxy.Connections() == 0 })

	leaver := peer(t, func(net.Conn) {})
	if _, err := dial(t, leaver).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client got %v", err)
	}
}

func TestAProxyWithoutAServerResets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	proxy, err := sftptest.StartProxy(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	conn, err := net.Dial("tcp", proxy.Addr())
	if err == nil { // a reset may come before we look
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(hangs))
		_, err = conn.Read(make([]byte, 1))
	}
	if err == nil || err == io.EOF || isTimeout(err) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkProxy(b *testing.B) {
	block := make([]byte, 1<<20)
	for _, delay := range []time.Duration{0, 25 * time.Millisecond} {
		b.Run(delay.String(), func(b *testing.B) {
			proxy := peer(b, func(tcp net.Conn) {
				tcp.Read(make([]byte, 1))
				for range b.N {
					tcp.Write(block)
				}
			})
			proxy.SetDelay(delay)
			tcp := dial(b, proxy)
			b.SetBytes(int64(len(block)))
			b.ResetTimer()
			tcp.Write([]byte{0})
			buffer := make([]byte, 256<<10)
			for {
				if _, err := tcp.Read(buffer); err != nil {
					break
				}
			}
		})
	}
}
