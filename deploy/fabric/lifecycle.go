package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	adminchaincode "github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

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
		if same, err := sameDefinition(committed, wanted); err != nil {
			return err
		} else if same {
			err := inParallel(ctx, admins, func(ctx context.Context, a *admin) error {
				return a.approvePackage(ctx, wanted, packages[a.org.MSPID])
			})
			if !errors.Is(err, errForgotten) {
				return err
			}
			n.log.Warn("the chaincode is defined anew", "chaincode", cc.Name, "because", err)
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

// sameDefinition tells whether the definition on the channel is the wanted one.
func sameDefinition(committed definition, wanted *adminchaincode.Definition) (bool, error) {
	policy, err := proto.Marshal(wanted.ApplicationPolicy)
	if err != nil {
		return false, err
	}
	return committed.GetVersion() == wanted.Version &&
		bytes.Equal(committed.GetValidationParameter(), policy) &&
		sameCollections(committed.GetCollections(), wanted.Collections), nil
}

// approvePackage ties the committed definition to the package that leads to the
// organisation's chaincode server, unless that is so already. Each organisation
// may do that for itself, without a new definition.
func (a *admin) approvePackage(ctx context.Context, committed *adminchaincode.Definition, p chaincodePackage) error {
	if p.id == "" {
		return nil // it does not endorse
	}
	approved, err := adminchaincode.NewGateway(a.conns[0], a.id).QueryApproved(ctx, committed.ChannelName, committed.Name, committed.Sequence)
	if err != nil {
		if isForgotten(describe(err)) {
			return fmt.Errorf("%s: %w", a.org.Name, errForgotten)
		}
		return fmt.Errorf("asking what %s approved: %w", a.org.Name, describe(err))
	}
	if approved.GetSource().GetLocalPackage().GetPackageId() == p.id {
		return nil
	}
	definition := *committed
	definition.PackageID = p.id
	return a.approve(ctx, &definition)
}

// errForgotten: a peer lost, with its ledger, what its organisation approved. That
// is private to the organisation, so no other peer can give it back, and it cannot
// be approved again: the next sequence is the way out.
var errForgotten = errors.New("the peer no longer knows what its organisation approved")

func isForgotten(err error) bool {
	return strings.Contains(err.Error(), "could not fetch approved chaincode definition") ||
		strings.Contains(err.Error(), "private data matching public hash version is not available")
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
