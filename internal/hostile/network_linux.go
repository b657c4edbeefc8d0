package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// wait bounds one look at the network.
const wait = 5 * time.Second

// wanted is the success of an attempt that was to bring back a text; "*" is
// any.
func wanted(got []byte, want string) (string, error) {
	if len(got) > 300 {
		got = got[:300]
	}
	if want != "*" && (want == "" || !strings.Contains(string(got), want)) {
		return "", fmt.Errorf("it got %q", got)
	}
	return fmt.Sprintf("it got %q", got), nil
}

func reach(a arguments) (string, error) {
	network := a["network"]
	if network == "" {
		network = "tcp"
	}
	c, err := net.DialTimeout(network, a["address"], wait)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return talk(c, a["want"])
}

// talk says what most servers answer to, and looks at the answer.
func talk(c net.Conn, want string) (string, error) {
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(c, 64<<10))
	if len(b) == 0 {
		return "", errors.Join(errors.New("connected, but nothing came"), err)
	}
	return wanted(b, want)
}

func datagram(a arguments) (string, error) {
	network := a["network"]
	if network == "" {
		network = "udp"
	}
	c, err := net.DialTimeout(network, a["address"], wait)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		return "", err
	}
	b := make([]byte, 2048)
	n, err := c.Read(b)
	if err != nil {
		return "", err
	}
	return wanted(b[:n], a["want"])
}

// dns asks for the address, and then for the text, of a name.
func dns(a arguments) (string, error) {
	const null = dnsmessage.Type(10) // which carries anything
	name, err := dnsmessage.NewName(a["name"] + ".")
	if err != nil {
		return "", err
	}
	var errs []error
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeTXT, null} {
		b, err := question(a["network"], a["server"], name, kind)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil {
			errs = append(errs, err)
			continue
		}
		if m.RCode == dnsmessage.RCodeSuccess && len(m.Answers) > 0 {
			return fmt.Sprintf("%v", m.Answers[0].Body), nil
		}
		errs = append(errs, fmt.Errorf("%v: %v", kind, m.RCode))
	}
	return "", errors.Join(errs...)
}

func question(network, server string, name dnsmessage.Name, kind dnsmessage.Type) ([]byte, error) {
	q, err := (&dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: kind, Class: dnsmessage.ClassINET}},
	}).Pack()
	if err != nil {
		return nil, err
	}
	c, err := net.DialTimeout(network, server, wait)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if !strings.HasPrefix(network, "tcp") {
		if _, err := c.Write(q); err != nil {
			return nil, err
		}
		b := make([]byte, 4096)
		n, err := c.Read(b)
		return b[:n], err
	}
	if _, err := c.Write(append([]byte{byte(len(q) >> 8), byte(len(q))}, q...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, int(size[0])<<8|int(size[1]))
	_, err = io.ReadFull(c, b)
	return b, err
}

func get(a arguments) (string, error) {
	t := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	switch a["proxy"] {
	case "":
	case "env":
		t.Proxy = http.ProxyFromEnvironment
	default:
		t.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: a["proxy"]})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a["url"], nil)
	if err != nil {
		return "", err
	}
	if a["host"] != "" {
		req.Host = a["host"]
	}
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", err
	}
	return wanted(b, a["want"])
}

// front speaks TLS to an address, or to a target through a proxy, with the
// name of somebody else: in the hello, or only in the request.
func front(a arguments) (string, error) {
	to := a["address"]
	if a["proxy"] != "" {
		to = a["proxy"]
	}
	c, err := net.DialTimeout("tcp", to, wait)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(wait))
	if a["proxy"] != "" {
		if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", a["target"]); err != nil {
			return "", err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
		if err != nil {
			return "", err
		}
		if resp.StatusCode != http.StatusOK {
			b, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
			return "", fmt.Errorf("the proxy says %s: %s", resp.Status, b)
		}
	}
	if a["sni"] == "plain" {
		if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", a["host"]); err != nil {
			return "", err
		}
		b, err := io.ReadAll(io.LimitReader(c, 64<<10))
		if len(b) == 0 {
			return "", errors.Join(errors.New("nothing came"), err)
		}
		return wanted(b, a["want"])
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: a["sni"]})
	if err := t.Handshake(); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(t, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", a["host"]); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(t, 64<<10))
	if len(b) == 0 {
		return "", errors.Join(errors.New("nothing came"), err)
	}
	return wanted(b, a["want"])
}

// listenFor answers whoever connects, until the server ends.
func listenFor(a arguments) (string, error) {
	l, err := net.Listen(a["network"], a["address"])
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, a["say"])
			if h, ok := c.(interface{ CloseWrite() error }); ok {
				_ = h.CloseWrite()
			}
			go func() {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}()
		}
	}()
	return "listening on " + l.Addr().String(), nil
}

// sharedSize is that of shared memory, in bytes.
const sharedSize = 4096

func share(a arguments) (string, error) {
	id, err := unix.SysvShmGet(a.number("key"), sharedSize, unix.IPC_CREAT|0o666)
	if err != nil {
		return "", err
	}
	b, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return "", err
	}
	copy(b, a["say"])
	return fmt.Sprintf("%d bytes", len(b)), nil
}

func shared(a arguments) (string, error) {
	id, err := unix.SysvShmGet(a.number("key"), 0, 0)
	if err != nil {
		return "", err
	}
	b, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.SysvShmDetach(b) }()
	if a["remove"] != "" {
		_, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		return "removed", err
	}
	return wanted(b, a["want"])
}
