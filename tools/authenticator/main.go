// Command eks-token-judge asks aws-iam-authenticator's own verifier about an EKS token on stdin.
//
// Where the verifier would ask STS, it is led to the endpoint given, a moto. moto does not verify the signature, and
// answers in XML where STS, asked for JSON, answers in JSON: both are made up for here, and the signature stays unseen.
package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

// moto sends every request to moto, signed for the service that the token's own parameters name.
type moto struct {
	endpoint *url.URL
	next     http.RoundTripper
}

type answer struct {
	Result struct {
		Account string `xml:"Account"`
		Arn     string `xml:"Arn"`
		UserID  string `xml:"UserId"`
	} `xml:"GetCallerIdentityResult"`
	Metadata struct {
		RequestID string `xml:"RequestId"`
	} `xml:"ResponseMetadata"`
}

func (m moto) RoundTrip(request *http.Request) (*http.Response, error) {
	asked := request.Clone(request.Context())
	asked.URL.Scheme, asked.URL.Host = m.endpoint.Scheme, m.endpoint.Host
	credential := request.URL.Query().Get("X-Amz-Credential")
	asked.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+credential+", SignedHeaders=host, Signature=unsigned")
	response, err := m.next.RoundTrip(asked)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	defer response.Body.Close()
	var said answer
	if err := xml.NewDecoder(response.Body).Decode(&said); err != nil {
		return nil, fmt.Errorf("moto's answer: %w", err)
	}
	text, err := json.Marshal(map[string]any{"GetCallerIdentityResponse": map[string]any{
		"GetCallerIdentityResult": map[string]string{
			"Account": said.Result.Account, "Arn": said.Result.Arn, "UserId": said.Result.UserID,
		},
		"ResponseMetadata": map[string]string{"RequestId": said.Metadata.RequestID},
	}})
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(text))
	response.ContentLength = int64(len(text))
	return response, nil
}

func main() {
	cluster := flag.String("cluster", "", "the name of the cluster")
	partition := flag.String("partition", "aws", "the partition of AWS")
	region := flag.String("region", "", "the region")
	endpoint := flag.String("endpoint", "", "where moto is")
	flag.Parse()
	if err := judge(*cluster, *partition, *region, *endpoint); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

func judge(cluster, partition, region, endpoint string) error {
	place, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	// The verifier makes a client without a transport of its own, so it uses this one.
	http.DefaultTransport = moto{place, http.DefaultTransport}
	identity, err := token.NewVerifier(cluster, partition, region).Verify(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]string{
		"arn": identity.ARN, "account": identity.AccountID, "accessKey": identity.AccessKeyID,
	})
}
