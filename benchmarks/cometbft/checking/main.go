// Command checking is CometBFT with its key-value application behind a check of each transaction's Ed25519
// signature: in every node once, when the transaction comes in or, if it did not, with the proposal. Built in
// like the key-value application is, so that no socket lies between node and application.
package main

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"sync"

	"github.com/cometbft/cometbft/abci/example/kvstore"
	"github.com/cometbft/cometbft/abci/types"
	cmd "github.com/cometbft/cometbft/cmd/cometbft/commands"
	cfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/libs/cli"
	"github.com/cometbft/cometbft/libs/log"
	nm "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"

	"hansa.example/benchmarks/cometbft/signed"
)

const soundMax = 200000

type application struct {
	*kvstore.Application
	mutex sync.Mutex
	sound map[[32]byte]struct{}
}

func (app *application) isSound(tx []byte) bool {
	digest := sha256.Sum256(tx)
	app.mutex.Lock()
	_, known := app.sound[digest]
	app.mutex.Unlock()
	if known {
		return true
	}
	if !signed.IsSound(tx) {
		return false
	}
	app.mutex.Lock()
	if len(app.sound) >= soundMax {
		clear(app.sound)
	}
	app.sound[digest] = struct{}{}
	app.mutex.Unlock()
	return true
}

func (app *application) CheckTx(ctx context.Context, request *types.CheckTxRequest) (*types.CheckTxResponse, error) {
	if !app.isSound(request.Tx) {
		return &types.CheckTxResponse{Code: 1}, nil
	}
	return app.Application.CheckTx(ctx, request)
}

func (app *application) ProcessProposal(
	ctx context.Context, request *types.ProcessProposalRequest,
) (*types.ProcessProposalResponse, error) {
	for _, tx := range request.Txs {
		if !app.isSound(tx) {
			return &types.ProcessProposalResponse{Status: types.PROCESS_PROPOSAL_STATUS_REJECT}, nil
		}
	}
	return app.Application.ProcessProposal(ctx, request)
}

func newNode(
	config *cfg.Config, logger log.Logger, _ nm.CliParams, makeKey func() (crypto.PrivKey, error),
) (*nm.Node, error) {
	nodeKey, err := p2p.LoadOrGenNodeKey(config.NodeKeyFile())
	if err != nil {
		return nil, err
	}
	validator, err := privval.LoadOrGenFilePV(config.PrivValidatorKeyFile(), config.PrivValidatorStateFile(), makeKey)
	if err != nil {
		return nil, err
	}
	app := &application{
		Application: kvstore.NewPersistentApplication(config.DBDir()),
		sound:       map[[32]byte]struct{}{},
	}
	return nm.NewNode(
		context.Background(), config, validator, nodeKey, proxy.NewLocalClientCreator(app),
		nm.DefaultGenesisDocProviderFunc(config), cfg.DefaultDBProvider,
		nm.DefaultMetricsProvider(config.Instrumentation), logger,
	)
}

func main() {
	root := cmd.RootCmd
	root.AddCommand(cmd.NewRunNodeCmd(newNode))
	command := cli.PrepareBaseCmd(root, "CMT", os.ExpandEnv(filepath.Join("$HOME", cfg.DefaultCometDir)))
	if err := command.Execute(); err != nil {
		os.Exit(1)
	}
}
