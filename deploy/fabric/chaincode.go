package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	adminchaincode "github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"github.com/trailmark/trailmark/deploy/supervise"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Chaincode is what to put on the channel.
type Chaincode struct {
	// Name is what clients call; lower-case letters, digits and dashes.
	Name string
	// Version is any word; a new one makes a new definition (sequence + 1).
	Version string
	// Argv starts a chaincode server. It finds in its environment
	// CHAINCODE_ID, CHAINCODE_SERVER_ADDRESS, and, as paths of PEM files,
	// CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT and CHAINCODE_CLIENT_CA_CERT;
	// peers authenticate themselves with a certificate of that authority.
	// TRAILMARK_ORGANISATION names the organisation it runs for. One server runs
	// for each endorsing organisation.
	Argv []string
	// Env is added to the servers' environment, as KEY=VALUE.
	Env []string
	// Collections are the private data collections.
	Collections []Collection
	// Ready, when given, is called until it passes before DeployChaincode
	// returns: a real submit through a gateway is the test that counts.
	Ready func(context.Context) error
}

// Collection is a private data collection.
type Collection struct {
	Name            string
	Members         []string // MSP IDs
	Endorsers       []string // MSP IDs, any of which may endorse writes; empty: the chaincode's policy
	RequiredPeers   int32    // peers that must have the data before endorsement succeeds
	MaxPeers        int32
	BlockToLive     uint64 // 0: for ever
	MemberOnlyRead  bool
	MemberOnlyWrite bool
}

// DeployChaincode brings the chaincode to the channel as described, doing only
// what is missing: on a warm start that is starting its servers; after a change
// of version, collections or certificates it is a new definition. A changed
// program (by time or size) restarts the servers.
func (n *Network) DeployChaincode(ctx context.Context, cc Chaincode) error {
	if !nameRule.MatchString(strings.ReplaceAll(cc.Name, "-", "")) || cc.Version == "" || len(cc.Argv) == 0 {
		return fmt.Errorf("chaincode %q, version %q: want a lower-case name, a version and a program", cc.Name, cc.Version)
	}
	if err := n.checkCollections(cc.Collections); err != nil {
		return fmt.Errorf("chaincode %s: %w", cc.Name, err)
	}
	release, err := lockDir(ctx, n.dir)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	n.report("starting chaincode " + cc.Name)
	packages, err := n.startServers(cc)
	if err != nil {
		return err
	}
	if err := n.define(ctx, cc, packages); err != nil {
		return fmt.Errorf("deploying chaincode %s: %w", cc.Name, err)
	}
	if err := n.retry(ctx, "the peers to know each other", n.checkGossip); err != nil {
		return err
	}
	if cc.Ready == nil {
		return nil
	}
	n.report("waiting for chaincode " + cc.Name + " to answer")
	return n.retry(ctx, "chaincode "+cc.Name+" to answer", cc.Ready)
}

// chaincodePackage is what one organisation installs.
type chaincodePackage struct {
	raw []byte
	id  string
}

// ChaincodeProcess names the process of a chaincode server.
func ChaincodeProcess(chaincode, organisation string) string {
	return "chaincode-" + chaincode + "-" + organisation
}

// startServers starts a server for each endorsing organisation, and returns the
// packages that lead their peers to them.
func (n *Network) startServers(cc Chaincode) (map[string]chaincodePackage, error) {
	addresses, err := n.chaincodeAddresses(cc.Name)
	if err != nil {
		return nil, err
	}
	program, generation, err := locateProgram(cc.Argv[0])
	if err != nil {
		return nil, err
	}
	argv := append([]string{program}, cc.Argv[1:]...)
	packages := map[string]chaincodePackage{}
	for _, o := range n.profile.Organisations {
		if !o.Endorses {
			continue
		}
		keys, err := makeChaincodeKeys(n.dir, cc.Name, o)
		if err != nil {
			return nil, err
		}
		where, err := keys.connection(addresses[o.Name])
		if err != nil {
			return nil, err
		}
		raw, id, err := packageChaincode(cc.Name+"_"+o.Name, where)
		if err != nil {
			return nil, err
		}
		packages[o.MSPID] = chaincodePackage{raw: raw, id: id}
		env := append(environment(map[string]string{
			"CHAINCODE_ID":             id,
			"CORE_CHAINCODE_ID_NAME":   id,
			"CHAINCODE_SERVER_ADDRESS": addresses[o.Name],
			"CHAINCODE_TLS_KEY":        keys.server.Key,
			"CHAINCODE_TLS_CERT":       keys.server.Cert,
			"CHAINCODE_CLIENT_CA_CERT": keys.authority,
			"TRAILMARK_ORGANISATION":   o.Name,
		}), cc.Env...)
		if err := n.ensure(supervise.Spec{
			Name: ChaincodeProcess(cc.Name, o.Name), Stage: stageChaincode, Grace: stopGrace, Dir: n.dir,
			Argv: argv, Env: env, Generation: generation,
		}); err != nil {
			return nil, err
		}
	}
	return packages, nil
}

// chaincodeAddresses gives each endorsing organisation's server a port, once.
func (n *Network) chaincodeAddresses(chaincode string) (map[string]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	present, err := loadState(n.dir) // another process may have added ports
	if err != nil {
		return nil, err
	}
	n.state = present
	var names []string
	for _, o := range endorsers(n.state.Organisations) {
		names = append(names, ChaincodeProcess(chaincode, o.Name)+"/"+portMain)
	}
	before := len(n.state.Ports)
	held, err := reserve(n.state.Ports, names, 0)
	if err != nil {
		return nil, err
	}
	held.release()
	if len(n.state.Ports) > before {
		if err := n.state.save(n.dir); err != nil {
			return nil, err
		}
	}
	addresses := map[string]string{}
	for _, o := range endorsers(n.state.Organisations) {
		addresses[o.Name] = n.state.address(ChaincodeProcess(chaincode, o.Name), portMain)
	}
	return addresses, nil
}

// locateProgram finds the program from anywhere, and a text that changes when it
// is built anew.
func locateProgram(program string) (path, generation string, err error) {
	if path, err = exec.LookPath(program); err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", "", fmt.Errorf("finding chaincode program: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("looking at chaincode program: %w", err)
	}
	return path, strconv.FormatInt(info.Size(), 10) + "@" + info.ModTime().UTC().Format(time.RFC3339Nano), nil
}

// define installs, approves and commits, as far as that is not done yet.
func (n *Network) define(ctx context.Context, cc Chaincode, packages map[string]chaincodePackage) error {
	admins, err := n.admins()
	if err != nil {
		return err
	}
	defer func() {
		for _, a := range admins {
			a.close()
		}
	}()
	wanted := &adminchaincode.Definition{
		ChannelName: n.profile.Channel, Name: cc.Name, Version: cc.Version, Collections: collectionPackage(cc.Collections),
		// The channel's own rule, k of the endorsing organisations, has its one home in the first block.
		ApplicationPolicy: &peer.ApplicationPolicy{Type: &peer.ApplicationPolicy_ChannelConfigPolicyReference{ChannelConfigPolicyReference: "/Channel/Application/Endorsement"}},
	}
	if err := inParallel(ctx, admins, func(ctx context.Context, a *admin) error {
		return a.install(ctx, packages[a.org.MSPID])
	}); err != nil {
		return err
	}
	committed, err := n.committed(ctx, admins[0], cc.Name)
	if err != nil {
		return err
	}
	if committed != nil {
		wanted.Sequence = committed.GetSequence()
		same, err := n.inPlace(ctx, committed, wanted, admins, packages)
		if err != nil || same {
			return err
		}
	}
	wanted.Sequence++
	n.report(fmt.Sprintf("approving and committing chaincode %s %s (sequence %d)", cc.Name, cc.Version, wanted.Sequence))
	if err := inParallel(ctx, admins, func(ctx context.Context, a *admin) error {
		definition := *wanted
		definition.PackageID = packages[a.org.MSPID].id // none where it does not endorse
		return a.approve(ctx, &definition)
	}); err != nil {
		return err
	}
	// A peer that has not yet seen all approvals refuses; it will have in a moment.
	return n.retry(ctx, "the chaincode definition to be accepted", func(ctx context.Context) error {
		err := adminchaincode.NewGateway(admins[0].conns[0], admins[0].id).Commit(ctx, wanted)
		if err == nil {
			return nil
		}
		now, queryErr := n.committed(ctx, admins[0], cc.Name)
		if queryErr == nil && now != nil && now.GetSequence() == wanted.Sequence {
			return nil // an earlier attempt did succeed
		}
		return describe(err)
	})
}

func (n *Network) admins() ([]*admin, error) {
	var all []*admin
	for _, o := range n.profile.Organisations {
		a, err := newAdmin(o)
		if err != nil {
			for _, open := range all {
				open.close()
			}
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// committed returns the chaincode's definition on the channel, or nil.
func (n *Network) committed(ctx context.Context, a *admin, name string) (definition, error) {
	var found definition
	err := n.retry(ctx, "the list of chaincodes", func(ctx context.Context) error {
		all, err := adminchaincode.NewGateway(a.conns[0], a.id).QueryCommitted(ctx, n.profile.Channel)
		if err != nil {
			return describe(err)
		}
		for _, d := range all.GetChaincodeDefinitions() {
			if d.GetName() == name {
				found = d
			}
		}
		return nil
	})
	return found, err
}

// definition is what the lifecycle's messages have in common.
type definition interface {
	GetSequence() int64
	GetVersion() string
	GetValidationParameter() []byte
	GetCollections() *peer.CollectionConfigPackage
}

// inPlace tells whether the definition on the channel is the wanted one, and
// every endorsing organisation has approved the package it would install now.
func (n *Network) inPlace(ctx context.Context, committed definition, wanted *adminchaincode.Definition, admins []*admin, packages map[string]chaincodePackage) (bool, error) {
	policy, err := proto.Marshal(wanted.ApplicationPolicy)
	if err != nil {
		return false, err
	}
	if committed.GetVersion() != wanted.Version || !bytes.Equal(committed.GetValidationParameter(), policy) || !sameCollections(committed.GetCollections(), wanted.Collections) {
		return false, nil
	}
	for _, a := range admins {
		if !a.org.Endorses {
			continue
		}
		approved, err := adminchaincode.NewGateway(a.conns[0], a.id).QueryApproved(ctx, n.profile.Channel, wanted.Name, wanted.Sequence)
		if err != nil {
			return false, fmt.Errorf("asking what %s approved: %w", a.org.Name, describe(err))
		}
		if approved.GetSource().GetLocalPackage().GetPackageId() != packages[a.org.MSPID].id {
			return false, nil
		}
	}
	return true, nil
}

func sameCollections(a, b *peer.CollectionConfigPackage) bool {
	if len(a.GetConfig()) == 0 && len(b.GetConfig()) == 0 {
		return true
	}
	return proto.Equal(a, b)
}

func (a *admin) install(ctx context.Context, p chaincodePackage) error {
	if p.raw == nil {
		return nil
	}
	for i, conn := range a.conns {
		target := adminchaincode.NewPeer(conn, a.id)
		present, err := target.QueryInstalled(ctx)
		if err != nil {
			return fmt.Errorf("asking %s what is installed: %w", a.org.Peers[i].Name, describe(err))
		}
		installed := false
		for _, c := range present.GetInstalledChaincodes() {
			installed = installed || c.GetPackageId() == p.id
		}
		if installed {
			continue
		}
		if _, err := target.Install(ctx, bytes.NewReader(p.raw)); err != nil {
			return fmt.Errorf("installing on %s: %w", a.org.Peers[i].Name, describe(err))
		}
	}
	return nil
}

// approve repeats while the gateway's peer does not know the channel well enough
// yet; having approved the same before is success.
func (a *admin) approve(ctx context.Context, d *adminchaincode.Definition) error {
	for {
		err := adminchaincode.NewGateway(a.conns[0], a.id).Approve(ctx, d)
		if err == nil || strings.Contains(describe(err).Error(), "unchanged content") {
			return nil
		}
		code := status.Code(err)
		if code != codes.Unavailable && code != codes.FailedPrecondition {
			return fmt.Errorf("approving for %s: %w", a.org.Name, describe(err))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("approving for %s: %w", a.org.Name, errors.Join(ctx.Err(), describe(err)))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func inParallel(ctx context.Context, admins []*admin, do func(context.Context, *admin) error) error {
	tasks, ctx := errgroup.WithContext(ctx)
	for _, a := range admins {
		tasks.Go(func() error { return do(ctx, a) })
	}
	return tasks.Wait()
}

// describe brings out what the peers said, which gRPC hides in the details.
func describe(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	var details []string
	for _, d := range s.Details() {
		details = append(details, fmt.Sprint(d))
	}
	if len(details) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(details, "; "))
}

func (n *Network) checkCollections(collections []Collection) error {
	for _, c := range collections {
		if c.Name == "" || len(c.Members) == 0 {
			return fmt.Errorf("collection %q: want a name and members", c.Name)
		}
		for _, id := range append(slices.Clone(c.Members), c.Endorsers...) {
			if o, err := n.profile.Organisation(id); err != nil || o.MSPID != id {
				return fmt.Errorf("collection %s: no organisation has MSP ID %q", c.Name, id)
			}
		}
	}
	return nil
}

func collectionPackage(collections []Collection) *peer.CollectionConfigPackage {
	if len(collections) == 0 {
		return nil
	}
	all := &peer.CollectionConfigPackage{}
	for _, c := range collections {
		static := &peer.StaticCollectionConfig{
			Name: c.Name, RequiredPeerCount: c.RequiredPeers, MaximumPeerCount: c.MaxPeers, BlockToLive: c.BlockToLive,
			MemberOnlyRead: c.MemberOnlyRead, MemberOnlyWrite: c.MemberOnlyWrite,
			MemberOrgsPolicy: &peer.CollectionPolicyConfig{Payload: &peer.CollectionPolicyConfig_SignaturePolicy{SignaturePolicy: anyOf(c.Members)}},
		}
		if len(c.Endorsers) > 0 {
			static.EndorsementPolicy = &peer.ApplicationPolicy{Type: &peer.ApplicationPolicy_SignaturePolicy{SignaturePolicy: anyOf(c.Endorsers)}}
		}
		all.Config = append(all.Config, &peer.CollectionConfig{Payload: &peer.CollectionConfig_StaticCollectionConfig{StaticCollectionConfig: static}})
	}
	return all
}
