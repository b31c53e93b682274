// This file makes the settings of HTTPS, with certificates that change while in use.

package sidecar

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ServerTLS returns settings for [Config.TLS]: TLS 1.2 or newer with the certificate and
// key in two files, which are read again when they change, and, if clientCA is not "",
// with certificates demanded of clients that are signed by those in that file.
func ServerTLS(certFile, keyFile, clientCA string, logger *slog.Logger) (*tls.Config, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p := &keyPair{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := p.load(); err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.get}
	if clientCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(clientCA)
	if err != nil {
		return nil, fmt.Errorf("sidecar: %w", err)
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("sidecar: %s has no certificate", clientCA)
	}
	return c, nil
}

// keyPair is a certificate in files.
type keyPair struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	seen    os.FileInfo // of the certificate's file
	checked time.Time
}

func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.checked) >= checkEvery {
		p.checked = now
		info, err := os.Stat(p.certFile)
		if err == nil && (!os.SameFile(info, p.seen) || !info.ModTime().Equal(p.seen.ModTime())) {
			err = p.load()
		}
		if err != nil {
			p.logger.Error("certificate not reloaded", slog.String("problem", problemOf(err)))
		}
	}
	return p.pair, nil
}

// load reads both files; a pair that does not fit together, as between two renames,
// leaves the one before.
func (p *keyPair) load() error {
	info, err := os.Stat(p.certFile)
	if err != nil {
		return fmt.Errorf("sidecar: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return fmt.Errorf("sidecar: %w", err)
	}
	p.pair, p.seen = &pair, info
	return nil
}
