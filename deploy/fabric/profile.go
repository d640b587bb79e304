package fabric

import (
	"fmt"
	"path/filepath"
)

// Profile tells a client everything it needs to use the network. Paths are
// absolute once loaded; in the file they are relative to its folder.
type Profile struct {
	Channel       string                `json:"channel"`
	Endorsements  int                   `json:"endorsements"` // organisations that must endorse
	Organisations []OrganisationProfile `json:"organisations"`
	Orderers      []OrdererProfile      `json:"orderers"`
}

// OrganisationProfile is one organisation as clients see it.
type OrganisationProfile struct {
	Name         string        `json:"name"`
	Title        string        `json:"title"`
	MSPID        string        `json:"mspID"`
	Domain       string        `json:"domain"`
	Endorses     bool          `json:"endorses"`
	Roles        []string      `json:"roles"`
	Peers        []PeerProfile `json:"peers"`
	TLSCA        string        `json:"tlsCA"`        // PEM file that peers' TLS certificates chain to
	CA           KeyPair       `json:"ca"`           // the organisation's identity authority, to issue certificates for devices
	TLSAuthority KeyPair       `json:"tlsAuthority"` // its TLS authority
	Node         KeyPair       `json:"node"`         // client identity of the organisation's node
	Admin        KeyPair       `json:"admin"`        // administrator identity
}

// KeyPair names the PEM files of a certificate and its PKCS #8 private key.
type KeyPair struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// PeerProfile is a peer; its Name is also its process name.
type PeerProfile struct {
	Name       string `json:"name"`
	Address    string `json:"address"`    // gRPC with TLS: gateway, deliver, discovery
	ServerName string `json:"serverName"` // in the TLS certificate
	Operations string `json:"operations"` // http URL: /healthz, /metrics
}

// OrdererProfile is an orderer; its Name is also its process name.
type OrdererProfile struct {
	Name       string `json:"name"`
	Address    string `json:"address"`
	ServerName string `json:"serverName"`
	TLSCA      string `json:"tlsCA"`
	Admin      string `json:"admin"` // https URL of the channel participation API (mutual TLS)
	Operations string `json:"operations"`
}

const profileFile = "profile.json"

// LoadProfile reads the profile from a network's folder; nothing needs to run.
func LoadProfile(dir string) (Profile, error) {
	var p Profile
	dir, err := filepath.Abs(dir)
	if err != nil {
		return p, fmt.Errorf("resolving network folder: %w", err)
	}
	if err := readJSON(filepath.Join(dir, profileFile), &p); err != nil {
		return p, fmt.Errorf("reading network profile (is there a network in %s?): %w", dir, err)
	}
	for _, path := range p.paths() {
		*path = filepath.Join(dir, *path)
	}
	return p, nil
}

// Organisation finds an organisation by name or MSP ID.
func (p Profile) Organisation(name string) (OrganisationProfile, error) {
	for _, o := range p.Organisations {
		if o.Name == name || o.MSPID == name {
			return o, nil
		}
	}
	return OrganisationProfile{}, fmt.Errorf("no organisation named %q in this network", name)
}

func (p Profile) paths() []*string {
	var all []*string
	for i := range p.Organisations {
		o := &p.Organisations[i]
		all = append(all, &o.TLSCA)
		for _, pair := range []*KeyPair{&o.CA, &o.TLSAuthority, &o.Node, &o.Admin} {
			all = append(all, &pair.Cert, &pair.Key)
		}
	}
	for i := range p.Orderers {
		all = append(all, &p.Orderers[i].TLSCA)
	}
	return all
}

// profile derives the profile from a network's state, with relative paths.
func (s state) profile() Profile {
	p := Profile{Channel: s.Channel, Endorsements: s.Endorsements}
	for _, o := range s.Organisations {
		org := filepath.Join("crypto", "peerOrganizations", o.Domain)
		op := OrganisationProfile{
			Name: o.Name, Title: o.Title, MSPID: o.MSPID, Domain: o.Domain, Endorses: o.Endorses, Roles: o.Roles,
			TLSCA:        filepath.Join(org, "tlsca", "tlsca."+o.Domain+"-cert.pem"),
			CA:           KeyPair{Cert: filepath.Join(org, "ca", "ca."+o.Domain+"-cert.pem"), Key: filepath.Join(org, "ca", "priv_sk")},
			TLSAuthority: KeyPair{Cert: filepath.Join(org, "tlsca", "tlsca."+o.Domain+"-cert.pem"), Key: filepath.Join(org, "tlsca", "priv_sk")},
			Node:         KeyPair{Cert: filepath.Join(org, "node", "cert.pem"), Key: filepath.Join(org, "node", "key.pem")},
			Admin:        adminPair(org, o.Domain),
		}
		for _, peer := range s.peersOf(o) {
			op.Peers = append(op.Peers, PeerProfile{
				Name: peer.name, Address: s.address(peer.name, portMain), ServerName: peer.host,
				Operations: "http://" + s.address(peer.name, portOperations),
			})
		}
		p.Organisations = append(p.Organisations, op)
	}
	for _, orderer := range s.orderers() {
		p.Orderers = append(p.Orderers, OrdererProfile{
			Name: orderer.name, Address: s.address(orderer.name, portMain), ServerName: orderer.host,
			TLSCA:      filepath.Join("crypto", "ordererOrganizations", ordererDomain, "tlsca", "tlsca."+ordererDomain+"-cert.pem"),
			Admin:      "https://" + s.address(orderer.name, portAdmin),
			Operations: "http://" + s.address(orderer.name, portOperations),
		})
	}
	return p
}

func adminPair(org, domain string) KeyPair {
	msp := filepath.Join(org, "users", "Admin@"+domain, "msp")
	return KeyPair{
		Cert: filepath.Join(msp, "signcerts", "Admin@"+domain+"-cert.pem"),
		Key:  filepath.Join(msp, "keystore", "priv_sk"),
	}
}
