package fabric

import (
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"google.golang.org/protobuf/proto"
)

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
