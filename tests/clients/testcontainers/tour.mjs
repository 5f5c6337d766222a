// Testcontainers for Node: PostgreSQL, Redis and containers of one's own.
//
// Usage: tour.mjs [stay]
// With `stay`, what was started stays until the process is gone, which is told its number first.

import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

// The modules lie where the project's script installed them, not beside this file.
const modules = createRequire(`${process.env.CLIENTS}/node/`);
const { PostgreSqlContainer } = modules("@testcontainers/postgresql");
const { RedisContainer } = modules("@testcontainers/redis");
const { GenericContainer, Network, Wait } = modules("testcontainers");
const pg = modules("pg");
const { createClient } = modules("redis");

async function query(postgres, text) {
  const client = new pg.Client({ connectionString: postgres.getConnectionUri() });
  await client.connect();
  const result = await client.query(text);
  await client.end();
  return result.rows;
}

async function services() {
  const postgres = await new PostgreSqlContainer("postgres:15").start();
  await query(postgres, "create table goods (name text)");
  await query(postgres, "insert into goods values ('lamp'), ('bell')");
  await postgres.snapshot();
  await query(postgres, "delete from goods");
  await postgres.restoreSnapshot();
  console.log("postgres:", JSON.stringify(await query(postgres, "select name from goods order by name")));
  const inside = await postgres.exec(["psql", "-U", "test", "-tAc", "select count(*) from goods", "test"]);
  console.log("postgres in the container:", inside.exitCode, inside.output.trim());
  const redis = await new RedisContainer("redis:7").start();
  const client = createClient({ url: redis.getConnectionUrl() });
  await client.connect();
  await client.set("visits", "41");
  console.log("redis:", await client.incr("visits"));
  client.destroy();
  console.log("redis in the container:", (await redis.executeCliCmd("get", ["visits"])).trim());
  await redis.restart();
  console.log("redis again:", (await redis.executeCliCmd("ping")).trim());
  await redis.stop();
  await postgres.stop();
}

async function own() {
  mkdirSync("built");
  writeFileSync(
    "built/Dockerfile",
    'FROM busybox:test\nARG page=none\nRUN mkdir -p /www && echo "$page" > /www/index.html\nCMD ["httpd", "-f", "-v", "-p", "80", "-h", "/www"]\n',
  );
  const network = await new Network().start();
  const image = await GenericContainer.fromDockerfile("built").withBuildArgs({ page: "hello from the page" }).build("built:tour");
  const web = await image
    .withExposedPorts(80)
    .withNetwork(network)
    .withNetworkAliases("web")
    .withLabels({ tour: "node" })
    .withTmpFs({ "/scratch": "rw,size=1m" })
    .withWaitStrategy(Wait.forAll([Wait.forHttp("/index.html", 80), Wait.forListeningPorts()]))
    .start();
  console.log("page:", (await (await fetch(`http://${web.getHost()}:${web.getMappedPort(80)}/index.html`)).text()).trim());
  const asks = await new GenericContainer("busybox:test")
    .withNetwork(network)
    .withCommand(["sh", "-c", "wget -qO- http://web/index.html; cat /copied; echo asked; sleep 1000"])
    .withCopyContentToContainer([{ content: "copied in\n", target: "/copied" }])
    .withHealthCheck({ test: ["CMD-SHELL", "true"], interval: 200, timeout: 1000, retries: 3 })
    .withWaitStrategy(Wait.forAll([Wait.forLogMessage("asked"), Wait.forHealthCheck()]))
    .start();
  const lines = [];
  const logs = await asks.logs();
  // Testcontainers lets its streams keep no process alive.
  const alive = setInterval(() => {}, 60_000);
  for await (const piece of logs) {
    lines.push(piece.toString());
    if (lines.join("").includes("asked")) break;
  }
  clearInterval(alive);
  console.log("logs:", JSON.stringify(lines.join("").split("\n")));
  const committed = await asks.commit({ repo: "committed", tag: "tour", deleteOnExit: true });
  console.log("committed:", committed.length > 0);
  await asks.stop();
  await web.stop();
  await network.stop();
  const once = await new GenericContainer("busybox:test").withCommand(["sh", "-c", "exit 0"]).withWaitStrategy(Wait.forOneShotStartup()).start();
  console.log("one shot:", once.getId().length);
  await once.stop();
}

async function stay() {
  console.log("process:", process.pid);
  const postgres = await new PostgreSqlContainer("postgres:15").start();
  await new RedisContainer("redis:7").start();
  console.log("postgres:", JSON.stringify(await query(postgres, "select 1 as one")));
  console.log("both are up");
  process.stdin.resume();
}

if (process.argv[2] === "stay") {
  await stay();
} else {
  await services();
  await own();
  console.log("the tour is over");
  process.exit(0);
}
