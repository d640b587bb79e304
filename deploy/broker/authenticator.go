package broker

import (
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// authenticator is nats-server's hook: it decides who a connection is and what it may do.
type authenticator struct {
	lanes  map[string]uint32
	cas    map[string]*x509.CertPool // by organisation
	secret *Secret                   // nil: certificates only
	permit func(Principal) bool      // nil: everybody who can prove a name
	log    *slog.Logger

	server *server.Server // to ask for a connection's MQTT client identifier
	open   atomic.Bool    // false until every lane's session exists
	keeper string         // password of the broker's own connection that makes those sessions
}

const keeperName = "$keeper"

var errNotOpen = errors.New("the broker is still making the lanes' sessions")

func newKeeperPassword() string {
	var raw [24]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// Check implements server.Authentication.
func (a *authenticator) Check(c server.ClientAuthentication) bool {
	options := c.GetOpts()
	if options.Username == keeperName && subtle.ConstantTimeCompare([]byte(options.Password), []byte(a.keeper)) == 1 {
		c.RegisterUser(&server.User{Username: keeperName})
		return true
	}
	p, until, err := a.identify(options, c.GetTLSConnectionState())
	if err == nil {
		err = a.admit(p, c.GetID())
	}
	if err != nil {
		a.log.Warn("connection refused", slog.Any("remote", c.RemoteAddress()), slog.Any("error", err))
		return false
	}
	c.RegisterUser(&server.User{
		Username: p.Username(), Permissions: p.permissions(a.lanes[p.Organisation]), ConnectionDeadline: until,
	})
	return true
}

// identify takes the certificate if there is one, else the token.
func (a *authenticator) identify(options *server.ClientOpts, state *tls.ConnectionState) (Principal, time.Time, error) {
	if !a.open.Load() {
		return Principal{}, time.Time{}, errNotOpen
	}
	if state != nil && len(state.PeerCertificates) > 0 {
		p, err := a.holder(state.PeerCertificates)
		return p, state.PeerCertificates[0].NotAfter, err
	}
	if a.secret == nil {
		return Principal{}, time.Time{}, errors.New("no client certificate given")
	}
	return a.secret.check(options.Username, options.Password, time.Now())
}

// holder names the principal of a certificate: the organisation is that whose CA issued it (not what it says of itself), the
// name is the common name, the role is the organisational unit.
func (a *authenticator) holder(chain []*x509.Certificate) (Principal, error) {
	leaf, intermediates := chain[0], x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	options := x509.VerifyOptions{Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for org, pool := range a.cas {
		options.Roots = pool
		if _, err := leaf.Verify(options); err != nil {
			continue
		}
		p := Principal{DeviceRole, org, leaf.Subject.CommonName}
		for _, unit := range leaf.Subject.OrganizationalUnit {
			if unit == string(IngestRole) {
				p.Role = IngestRole
			}
		}
		return p, p.check()
	}
	return Principal{}, fmt.Errorf("certificate of %q was issued by no organisation's CA", leaf.Subject.CommonName)
}

func (a *authenticator) admit(p Principal, connection uint64) error {
	lanes, ok := a.lanes[p.Organisation]
	if !ok {
		return fmt.Errorf("%s: organisation %s has no lanes here", p.Username(), p.Organisation)
	}
	if a.permit != nil && !a.permit(p) {
		return fmt.Errorf("%s is not permitted", p.Username())
	}
	info, err := a.server.Connz(&server.ConnzOptions{CID: connection})
	if err != nil || len(info.Conns) != 1 {
		return fmt.Errorf("%s: looking up its connection: %w", p.Username(), err)
	}
	if id := info.Conns[0].MQTTClient; !p.mayUse(id, lanes) {
		return fmt.Errorf("%s may not use client identifier %.100q", p.Username(), id)
	}
	return nil
}
