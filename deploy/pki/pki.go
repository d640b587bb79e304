// Package pki issues the certificates that the parts of an installation show each other, from an organisation's own authorities.
// It imports nothing of ours.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is an organisation's certificate authority.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// Load reads an authority from PEM files.
func Load(certFile, keyFile string) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("loading certificate authority: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("loading certificate authority: the key in %s cannot sign", keyFile)
	}
	return &Authority{pair.Leaf, signer}, nil
}

// Client issues a client certificate for a public key: who it is (common name), for which organisation, in which unit.
func (a *Authority) Client(public crypto.PublicKey, name, organisation, unit string) ([]byte, error) {
	return a.issue(public, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: []string{organisation}, OrganizationalUnit: []string{unit}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *Authority) server(public crypto.PublicKey, hosts []string) ([]byte, error) {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(public, template)
}

// issue returns the certificate in PEM.
func (a *Authority) issue(public crypto.PublicKey, template *x509.Certificate) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), a.certificate.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing certificate of %s: %w", template.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// Pair names the PEM files of a certificate and its key.
type Pair struct{ Cert, Key string }

// ServerPair makes a server's key and certificate for these hosts in a folder, unless they are there.
func (a *Authority) ServerPair(dir, name string, hosts ...string) (Pair, error) {
	return a.pair(dir, name, func(public crypto.PublicKey) ([]byte, error) { return a.server(public, hosts) })
}

// ClientPair makes a client's key and certificate in a folder, unless they are there.
func (a *Authority) ClientPair(dir, name, organisation, unit string) (Pair, error) {
	return a.pair(dir, name, func(public crypto.PublicKey) ([]byte, error) { return a.Client(public, name, organisation, unit) })
}

// pair writes the certificate last: without it the pair is made anew.
func (a *Authority) pair(dir, name string, issue func(crypto.PublicKey) ([]byte, error)) (Pair, error) {
	p := Pair{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	if _, err := os.Stat(p.Cert); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return p, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return p, err
	}
	certificate, err := issue(key.Public())
	if err != nil {
		return p, err
	}
	if err := WriteFile(p.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})); err != nil {
		return p, err
	}
	return p, WriteFile(p.Cert, certificate)
}

// WriteFile replaces a file at once, readable by its owner only: a crash leaves the old or the new one.
func WriteFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
