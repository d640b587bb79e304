package fabric

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	adminchannel "github.com/hyperledger/fabric-admin-sdk/pkg/channel"
	"github.com/hyperledger/fabric-admin-sdk/pkg/identity"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
)

// admin acts on peers as their organisation's administrator.
type admin struct {
	org   OrganisationProfile
	id    identity.SigningIdentity
	conns []*grpc.ClientConn // one per peer, in the profile's order
}

func newAdmin(o OrganisationProfile) (*admin, error) {
	cert, err := readCertificate(o.Admin.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readKey(o.Admin.Key)
	if err != nil {
		return nil, err
	}
	id, err := identity.NewPrivateKeySigningIdentity(o.MSPID, cert, key)
	if err != nil {
		return nil, fmt.Errorf("using administrator identity of %s: %w", o.Name, err)
	}
	a := &admin{org: o, id: id}
	for _, peer := range o.Peers {
		conn, err := dial(peer.Address, peer.ServerName, o.TLSCA)
		if err != nil {
			a.close()
			return nil, err
		}
		a.conns = append(a.conns, conn)
	}
	return a, nil
}

func (a *admin) close() {
	for _, conn := range a.conns {
		_ = conn.Close() // nothing is under way
	}
}

func dial(address, serverName, caFile string) (*grpc.ClientConn, error) {
	pool, err := certPool(caFile)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, serverName)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, MaxDelay: time.Second}, MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(100<<20), grpc.MaxCallSendMsgSize(100<<20)))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return conn, nil
}

func certPool(path string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

// join has every peer of the organisation join the channel, where it has not.
func (a *admin) join(ctx context.Context, channel string, genesis *common.Block) error {
	for i, conn := range a.conns {
		joined, err := adminchannel.ListChannelOnPeer(ctx, conn, a.id)
		if err != nil {
			return fmt.Errorf("asking %s for its channels: %w", a.org.Peers[i].Name, err)
		}
		in := false
		for _, c := range joined {
			in = in || c.GetChannelId() == channel
		}
		if in {
			continue
		}
		if err := adminchannel.JoinChannel(ctx, conn, a.id, genesis); err != nil {
			return fmt.Errorf("joining %s to channel %s: %w", a.org.Peers[i].Name, channel, err)
		}
	}
	return nil
}

// participation is the orderers' administration interface over mutual TLS.
type participation struct{ client *http.Client }

func newParticipation(dir string, o OrdererProfile) (participation, error) {
	pool, err := certPool(o.TLSCA)
	if err != nil {
		return participation{}, err
	}
	home := filepath.Join(dir, "crypto", "ordererOrganizations", ordererDomain, "users", "Admin@"+ordererDomain, "tls")
	cert, err := tls.LoadX509KeyPair(filepath.Join(home, "client.crt"), filepath.Join(home, "client.key"))
	if err != nil {
		return participation{}, fmt.Errorf("reading orderer administrator's certificate: %w", err)
	}
	return participation{&http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}}}, nil
}

func (p participation) close() { p.client.CloseIdleConnections() }

// join has the orderer join the channel, where it has not.
func (p participation) join(ctx context.Context, o OrdererProfile, channel string, genesis []byte) error {
	url := o.Admin + "/participation/v1/channels"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	body, err := p.do(request, http.StatusOK)
	if err != nil {
		return fmt.Errorf("asking %s for its channels: %w", o.Name, err)
	}
	var present struct {
		Channels []struct {
			Name string `json:"name"`
		} `json:"channels"`
	}
	if err := json.Unmarshal(body, &present); err != nil {
		return fmt.Errorf("reading channels of %s: %w", o.Name, err)
	}
	for _, c := range present.Channels {
		if c.Name == channel {
			return nil
		}
	}
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	part, err := writer.CreateFormFile("config-block", "config.block")
	if err != nil {
		return err
	}
	_, err = part.Write(genesis)
	if err := errors.Join(err, writer.Close()); err != nil {
		return err
	}
	if request, err = http.NewRequestWithContext(ctx, http.MethodPost, url, &form); err != nil {
		return err
	}
	request.Header.Set("Content-Type", writer.FormDataContentType())
	if _, err := p.do(request, http.StatusCreated); err != nil {
		return fmt.Errorf("joining %s to channel %s: %w", o.Name, channel, err)
	}
	return nil
}

func (p participation) do(request *http.Request, want int) ([]byte, error) {
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != want {
		return nil, fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(body))
	}
	return body, nil
}

func readGenesis(dir string) ([]byte, *common.Block, error) {
	raw, err := os.ReadFile(genesisPath(dir))
	if err != nil {
		return nil, nil, fmt.Errorf("reading first block: %w", err)
	}
	var block common.Block
	if err := proto.Unmarshal(raw, &block); err != nil {
		return nil, nil, fmt.Errorf("decoding first block: %w", err)
	}
	return raw, &block, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
