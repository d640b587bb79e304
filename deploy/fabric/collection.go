package fabric

import (
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
)

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

// anyOf is the policy that one member of any of the organisations satisfies.
func anyOf(mspIDs []string) *common.SignaturePolicyEnvelope {
	envelope := &common.SignaturePolicyEnvelope{}
	one := &common.SignaturePolicy_NOutOf{N: 1}
	for i, id := range mspIDs {
		role, err := proto.Marshal(&msp.MSPRole{MspIdentifier: id, Role: msp.MSPRole_MEMBER})
		if err != nil { // a string and a number always marshal, unless the string is no UTF-8
			panic(err)
		}
		envelope.Identities = append(envelope.Identities, &msp.MSPPrincipal{PrincipalClassification: msp.MSPPrincipal_ROLE, Principal: role})
		one.Rules = append(one.Rules, &common.SignaturePolicy{Type: &common.SignaturePolicy_SignedBy{SignedBy: int32(i)}})
	}
	envelope.Rule = &common.SignaturePolicy{Type: &common.SignaturePolicy_NOutOf_{NOutOf: one}}
	return envelope
}
