// Command load puts transactions on the nodes of a CometBFT network on the loopback and tells what became of
// them, as one line of JSON. Closed: each worker sends as fast as it is answered (broadcast_tx_sync over
// connections that stay). Open: at a rate, whatever becomes of those before. Transactions are made and signed
// before the clock starts. Latency runs from just before the call until the NewBlock event that holds the
// transaction arrives from one node.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"hansa.example/benchmarks/cometbft/signed"
)

var (
	rpc     = flag.String("rpc", "", "host:port of each node, with commas between")
	size    = flag.Int("size", 256, "bytes of a transaction")
	rate    = flag.Float64("rate", 0, "transactions/s over all nodes; 0 for a closed loop")
	workers = flag.Int("workers", 64, "of a closed loop")
	seconds = flag.Float64("seconds", 8, "how long is measured")
	warm    = flag.Float64("warm", 2, "seconds before that")
	drain   = flag.Float64("drain", 3, "seconds after that in which blocks still count for latency")
	count   = flag.Int64("count", 100000, "transactions made beforehand, at most so many are sent")
)

const keyChars = 32 // of base64: the first 24 bytes, which no two transactions share

type load struct {
	mutex     sync.Mutex
	sent      map[string]time.Time
	latencies []float64
	committed []time.Time
	blocks    int64
	began     time.Time
	accepted  atomic.Int64
	rejected  atomic.Int64
}

func main() {
	flag.Parse()
	nodes := strings.Split(*rpc, ",")
	for _, node := range nodes {
		host, _, err := net.SplitHostPort(node)
		if err != nil || !net.ParseIP(host).IsLoopback() {
			fmt.Fprintln(os.Stderr, "only on the loopback:", node)
			os.Exit(2)
		}
	}
	bodies := prepare()
	run := &load{sent: map[string]time.Time{}}
	if err := run.watch(nodes[0]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client := &http.Client{
		Transport: &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true},
		Timeout:   10 * time.Second,
	}
	run.began = time.Now()
	measured := run.began.Add(time.Duration(*warm * float64(time.Second)))
	end := measured.Add(time.Duration(*seconds * float64(time.Second)))
	if *rate > 0 {
		run.open(client, nodes, bodies, end)
	} else {
		run.closed(client, nodes, bodies, end)
	}
	time.Sleep(time.Duration(*drain * float64(time.Second)))
	run.tell(measured, end)
}

type body struct{ key, text string }

func prepare() []body {
	_, author, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	stamp := time.Now().UnixNano() / 1000
	bodies := make([]body, *count)
	for n := range bodies {
		text := base64.StdEncoding.EncodeToString(signed.Make(stamp, int64(n), *size, author))
		bodies[n] = body{
			text[:keyChars],
			`{"jsonrpc":"2.0","id":1,"method":"broadcast_tx_sync","params":{"tx":"` + text + `"}}`,
		}
	}
	return bodies
}

func (run *load) watch(node string) error {
	connection, _, err := websocket.DefaultDialer.Dial("ws://"+node+"/websocket", nil)
	if err != nil {
		return err
	}
	connection.SetReadLimit(1 << 28)
	subscribe := `{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"query":"tm.event='NewBlock'"}}`
	if err := connection.WriteMessage(websocket.TextMessage, []byte(subscribe)); err != nil {
		return err
	}
	go func() {
		for {
			_, message, err := connection.ReadMessage()
			if err != nil {
				return
			}
			run.take(message, time.Now())
		}
	}()
	return nil
}

type event struct {
	Result struct {
		Data struct {
			Value struct {
				Block struct {
					Data struct {
						Txs []string `json:"txs"`
					} `json:"data"`
				} `json:"block"`
			} `json:"value"`
		} `json:"data"`
	} `json:"result"`
}

func (run *load) take(message []byte, now time.Time) {
	var news event
	if json.Unmarshal(message, &news) != nil {
		return
	}
	run.mutex.Lock()
	defer run.mutex.Unlock()
	txs := news.Result.Data.Value.Block.Data.Txs
	if len(txs) > 0 {
		run.blocks++
	}
	for _, tx := range txs {
		sent, known := run.sent[tx[:keyChars]]
		if !known {
			continue
		}
		if sent.Sub(run.began).Seconds() > *warm {
			run.latencies = append(run.latencies, now.Sub(sent).Seconds()*1000)
		}
		delete(run.sent, tx[:keyChars])
		run.committed = append(run.committed, now)
	}
}

func (run *load) send(client *http.Client, node string, item body) {
	run.mutex.Lock()
	run.sent[item.key] = time.Now()
	run.mutex.Unlock()
	answer, err := client.Post("http://"+node, "application/json", strings.NewReader(item.text))
	isTaken := false
	if err == nil {
		data, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		isTaken = strings.Contains(string(data), `"code":0`)
	}
	if isTaken {
		run.accepted.Add(1)
		return
	}
	run.rejected.Add(1)
	run.mutex.Lock()
	delete(run.sent, item.key)
	run.mutex.Unlock()
	if *rate == 0 {
		time.Sleep(5 * time.Millisecond)
	}
}

func (run *load) open(client *http.Client, nodes []string, bodies []body, end time.Time) {
	gap := time.Duration(float64(time.Second) / *rate)
	var group sync.WaitGroup
	for n, item := range bodies {
		due := run.began.Add(time.Duration(n) * gap)
		if due.After(end) {
			break
		}
		time.Sleep(time.Until(due))
		group.Add(1)
		go func() {
			defer group.Done()
			run.send(client, nodes[n%len(nodes)], item)
		}()
	}
	group.Wait()
}

func (run *load) closed(client *http.Client, nodes []string, bodies []body, end time.Time) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range *workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Now().Before(end) {
				n := next.Add(1) - 1
				if n >= int64(len(bodies)) {
					return
				}
				run.send(client, nodes[n%int64(len(nodes))], bodies[n])
			}
		}()
	}
	group.Wait()
}

func (run *load) tell(measured, end time.Time) {
	run.mutex.Lock()
	defer run.mutex.Unlock()
	inside := 0
	for _, at := range run.committed {
		if !at.Before(measured) && at.Before(end) {
			inside++
		}
	}
	sort.Float64s(run.latencies)
	quantile := func(share float64) float64 {
		if len(run.latencies) == 0 {
			return -1
		}
		return run.latencies[int(share*float64(len(run.latencies)-1))]
	}
	line, err := json.Marshal(map[string]any{
		"committed": len(run.committed), "committed_per_s": float64(inside) / *seconds,
		"p50_ms": quantile(0.5), "p99_ms": quantile(0.99), "max_ms": quantile(1), "blocks": run.blocks,
		"accepted": run.accepted.Load(), "rejected": run.rejected.Load(), "uncommitted": len(run.sent),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}
