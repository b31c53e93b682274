// This file makes the load: bare connections that are kept, with next to no work of the
// client's own.

package sidecar

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// load sends calls over all connections for d: as fast as they are answered, or so many a
// second if rate is not 0. It returns how many were answered and how long each took, from
// when it was due.
func load(t *testing.T, addr, path string, d time.Duration, rate float64) (done int, times []time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	began := time.Now()
	end := began.Add(d)
	for i := range connections {
		wg.Go(func() {
			c := pace{began: began, end: end, index: i, rate: rate}
			own, err := c.send(addr, path)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", addr, err)
			}
			done += len(own)
			times = append(times, own...)
		})
	}
	wg.Wait()
	if done == 0 {
		t.Fatalf("%s answers nothing", addr)
	}
	return done, times
}

// pace is one connection's share of a load.
type pace struct {
	began, end time.Time
	index      int
	rate       float64
}

// due returns when the nth call is due.
func (p pace) due(n int) time.Time {
	if p.rate == 0 {
		return time.Now()
	}
	return p.began.Add(time.Duration(float64(n*connections+p.index) / p.rate * float64(time.Second)))
}

func (p pace) send(addr, path string) (times []time.Duration, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: SSWS secret\r\nAccept: application/json\r\nUser-Agent: load\r\n\r\n", path, addr)
	r := bufio.NewReaderSize(c, 64<<10)
	for n := 0; ; n++ {
		due := p.due(n)
		if !due.Before(p.end) {
			return times, nil
		}
		time.Sleep(time.Until(due))
		if _, err := c.Write(request); err != nil {
			return times, err
		}
		if err := readAnswer(r); err != nil {
			return times, err
		}
		times = append(times, time.Since(due))
	}
}

var (
	ok     = []byte("HTTP/1.1 200 ")
	length = []byte("content-length:")
)

// readAnswer reads a 200 with a Content-Length.
func readAnswer(r *bufio.Reader) error {
	size := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, ok) {
			return fmt.Errorf("answered %q", line)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if len(line) > len(length) && bytes.EqualFold(line[:len(length)], length) {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(line[len(length):]))); err != nil {
				return err
			}
		}
	}
	if size < 0 {
		return fmt.Errorf("an answer without Content-Length")
	}
	_, err := r.Discard(size)
	return err
}
