package fabric

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	adminchaincode "github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
)

// connection is what a peer's builder needs to reach a chaincode server. With
// TLS the fields hold the PEM text itself.
type connection struct {
	Address            string `json:"address"`
	DialTimeout        string `json:"dial_timeout"`
	TLSRequired        bool   `json:"tls_required"`
	ClientAuthRequired bool   `json:"client_auth_required"`
	ClientKey          string `json:"client_key"`
	ClientCert         string `json:"client_cert"`
	RootCert           string `json:"root_cert"`
}

// packageChaincode makes the package that an organisation installs. The same
// input gives the same bytes, and so the same package ID, at every start.
func packageChaincode(label string, c connection) (raw []byte, id string, err error) {
	if err := adminchaincode.ValidateLabel(label); err != nil {
		return nil, "", fmt.Errorf("chaincode label: %w", err)
	}
	where, err := json.Marshal(c)
	if err != nil {
		return nil, "", err
	}
	code, err := tarball("connection.json", where)
	if err != nil {
		return nil, "", err
	}
	about, err := json.Marshal(adminchaincode.Metadata{Type: "ccaas", Label: label})
	if err != nil {
		return nil, "", err
	}
	if raw, err = tarball("metadata.json", about, "code.tar.gz", code); err != nil {
		return nil, "", err
	}
	return raw, adminchaincode.GetPackageID(label, raw), nil
}

// tarball packs name, content, name, content … without times, owners or a
// compressor's whims.
func tarball(files ...any) ([]byte, error) {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(zip)
	for i := 0; i < len(files); i += 2 {
		content := files[i+1].([]byte)
		header := &tar.Header{Name: files[i].(string), Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(content); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// chaincodeKeys are the TLS identities on both ends between an organisation's
// peers and its chaincode server; its own TLS authority vouches for both.
type chaincodeKeys struct {
	server, client KeyPair
	authority      string
}

func makeChaincodeKeys(dir, name string, o OrganisationProfile) (chaincodeKeys, error) {
	home := filepath.Join(dir, "chaincode", name, o.Name)
	k := chaincodeKeys{
		server:    KeyPair{Cert: filepath.Join(home, "server.crt"), Key: filepath.Join(home, "server.key")},
		client:    KeyPair{Cert: filepath.Join(home, "client.crt"), Key: filepath.Join(home, "client.key")},
		authority: o.TLSCA,
	}
	for _, want := range []struct {
		pair KeyPair
		name string
	}{{k.server, "chaincode." + o.Domain}, {k.client, "peers." + o.Domain}} {
		if _, err := os.Stat(want.pair.Cert); err == nil { // written after its key
			continue
		}
		if err := issue(o.TLSAuthority, want.pair, want.name, "chaincode", want.name, "localhost", loopback); err != nil {
			return k, fmt.Errorf("issuing chaincode certificate for %s: %w", o.Name, err)
		}
	}
	return k, nil
}

func (k chaincodeKeys) connection(address string) (connection, error) {
	c := connection{Address: address, DialTimeout: "10s", TLSRequired: true, ClientAuthRequired: true}
	for path, field := range map[string]*string{k.client.Key: &c.ClientKey, k.client.Cert: &c.ClientCert, k.authority: &c.RootCert} {
		raw, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("reading chaincode certificate: %w", err)
		}
		*field = string(raw)
	}
	return c, nil
}
