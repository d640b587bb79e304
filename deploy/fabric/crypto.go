package fabric

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// cryptogenConfig lists the identities of the network for Fabric's cryptogen.
func cryptogenConfig(s state) ([]byte, error) {
	sans := []string{"localhost", loopback}
	host := func(n node, domain string) map[string]any {
		return map[string]any{"Hostname": n.host[:len(n.host)-len(domain)-1], "SANS": sans}
	}
	organisation := func(name, domain string, hosts []node) map[string]any {
		specs := make([]map[string]any, 0, len(hosts))
		for _, n := range hosts {
			specs = append(specs, host(n, domain))
		}
		return map[string]any{"Name": name, "Domain": domain, "EnableNodeOUs": true, "Specs": specs, "Users": map[string]any{"Count": 0}}
	}
	peers := make([]map[string]any, 0, len(s.Organisations))
	for _, o := range s.Organisations {
		peers = append(peers, organisation(o.Title, o.Domain, s.peersOf(o)))
	}
	return yaml.Marshal(map[string]any{
		"OrdererOrgs": []map[string]any{organisation("Orderer", ordererDomain, s.orderers())},
		"PeerOrgs":    peers,
	})
}

// makeCrypto creates every key and certificate of the network, all or nothing.
func makeCrypto(ctx context.Context, dir, cache string, s state) error {
	final := filepath.Join(dir, "crypto")
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	config, err := cryptogenConfig(s)
	if err != nil {
		return fmt.Errorf("describing identities: %w", err)
	}
	configPath := filepath.Join(dir, "config", "crypto.yaml")
	if err := writeFile(configPath, config, 0o640); err != nil {
		return fmt.Errorf("writing identities: %w", err)
	}
	fresh := final + ".new"
	if err := os.RemoveAll(fresh); err != nil { // of an interrupted attempt
		return err
	}
	if err := runTool(ctx, cache, "cryptogen", "generate", "--config", configPath, "--output", fresh); err != nil {
		return err
	}
	for _, o := range s.Organisations {
		org := filepath.Join(fresh, "peerOrganizations", o.Domain)
		authority := KeyPair{Cert: filepath.Join(org, "ca", "ca."+o.Domain+"-cert.pem"), Key: filepath.Join(org, "ca", "priv_sk")}
		to := KeyPair{Cert: filepath.Join(org, "node", "cert.pem"), Key: filepath.Join(org, "node", "key.pem")}
		if err := issue(authority, to, "node@"+o.Domain, "client"); err != nil {
			return fmt.Errorf("issuing node identity of %s: %w", o.Name, err)
		}
	}
	if err := os.Rename(fresh, final); err != nil {
		return fmt.Errorf("keeping identities: %w", err)
	}
	return nil
}

// issue makes a P-256 key and a certificate for it, signed by the authority. The
// organisational unit is what Fabric reads the kind of identity from. Hosts make
// it a certificate for TLS.
func issue(authority, to KeyPair, commonName, unit string, hosts ...string) error {
	parent, err := readCertificate(authority.Cert)
	if err != nil {
		return err
	}
	signer, err := readKey(authority.Key)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName, OrganizationalUnit: []string{unit}},
		NotBefore:    parent.NotBefore, NotAfter: parent.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("signing certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writeFile(to.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
		writeFile(to.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o640),
	)
}

func readCertificate(path string) (*x509.Certificate, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(block)
	if err != nil {
		return nil, fmt.Errorf("parsing certificate %s: %w", path, err)
	}
	return cert, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, fmt.Errorf("parsing private key %s: %w", path, err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("private key %s is a %T, want ECDSA", path, key)
	}
	return ec, nil
}

func readPEM(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading identity: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}

func runTool(ctx context.Context, cache, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(cache, "bin", name), args...)
	cmd.Env = append(os.Environ(), "FABRIC_CFG_PATH="+filepath.Join(cache, "config"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w: %s", name, err, out)
	}
	return nil
}
