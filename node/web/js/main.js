// Puts the parts together. What a part decides stands in its own file.

import { byId, setText } from "./dom.js";
import { Circle } from "./circle.js";
import { Composer } from "./composer.js";
import { Gateway } from "./gateway.js";
import { Header } from "./header.js";
import { Health } from "./health.js";
import { History } from "./history.js";
import { keys } from "./keys.js";
import { Live } from "./live.js";
import { LogTail } from "./log.js";
import { Members } from "./members.js";
import { MessageList } from "./messages.js";
import { Outbox } from "./outbox.js";
import { Paths } from "./paths.js";
import { PeersTable } from "./peers-table.js";
import { Search } from "./search.js";
import { Services } from "./services.js";
import { keepPasted, takeFromAddress } from "./token.js";
import { Unread } from "./unread.js";
import { Views } from "./views.js";
import { Ways } from "./ways.js";

takeFromAddress();

const history = new History();
const outbox = new Outbox(history);
const live = new Live(history);
const views = new Views();
const circle = new Circle();
const ways = new Ways(circle, history);
const paths = new Paths(circle);
const header = new Header();
const health = new Health();
const gateway = new Gateway();
const services = new Services();
const members = new Members(history);
const peersTable = new PeersTable();
const log = new LogTail();

const context = { topology: "ring" };
const acts = {
  retry: (key) => outbox.retry(key),
  takeBack: (key) => composer.takeBack(outbox.takeBack(key)),
};
const list = new MessageList({ history, outbox, context, acts });
const composer = new Composer(outbox, () => {
  if (search.isActive) search.end();
  list.toEnd();
});
const search = new Search(list, history, () => composer.focus());
const unread = new Unread(history, () => !document.hidden && views.current === "chat" && list.isAtEnd && !search.isActive);

outbox.on("sent", (row) => history.addRaw(row));
list.onMove(() => {
  byId("to-end").hidden = list.isAtEnd;
  unread.look();
});
byId("to-end").addEventListener("click", () => list.toEnd());

live.on("facts", (facts) => {
  const { status, peers } = facts;
  const names = new Map(peers.map((peer) => [peer.id, peer.name]));
  if (status) names.set(status.id, status.name);
  Object.assign(ways, { names, me: status?.id ?? null });
  Object.assign(paths, { names, peers, me: status?.id ?? null });
  if (status && context.topology !== status.topology) {
    context.topology = status.topology;
    list.refresh();
  }
  if (status) unread.setName(status.name);
  const known = { ...facts, names };
  header.show(known);
  members.show(known);
  circle.show(known);
  if (views.current === "mesh") showMesh(known);
  if (views.current === "ledger") showLedger(known);
});

live.on("routes", () => peersTable.hurry());
live.on("services", () => services.hurry());

function showMesh(known) {
  health.show(known);
  peersTable.show(known);
  services.show(known);
  gateway.show(known);
  log.setWanted(known.hasToken && !known.isTokenRefused && views.current === "mesh");
}

/** Its files are many, and most people come for the chat: they are loaded when somebody turns to it. */
let ledger = null;
function showLedger(known) {
  ledger ??= import("./ledger.js").then(({ Ledger }) => new Ledger(live, () => views.current === "ledger"));
  // A node that is down gives no files: the next look tries again.
  ledger.then((view) => view.show(known), () => (ledger = null));
}

views.onChange((name) => {
  // One drawing, small beside the chat and large on the page of the mesh.
  byId(name === "mesh" ? "circle-large" : "circle-small").prepend(byId("circle"));
  circle.setSmall(name !== "mesh");
  live.setBusy(name === "mesh");
  if (name !== "mesh") log.setWanted(false);
  if (name !== "chat" && live.facts.status) live.emit("facts", live.facts);
  if (name === "chat") list.toEnd();
  unread.look();
});

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = byId("token");
  const isToken = keepPasted(input.value);
  setText(byId("token-said"), isToken ? "" : "That holds no token.");
  if (!isToken) return;
  input.value = "";
  live.start();
});
// The address of another start of the node, pasted into the same tab, changes only the part behind the #.
addEventListener("hashchange", () => takeFromAddress() && live.start());

const narrow = matchMedia("(max-width: 60rem)");
const foldPeople = () => (byId("people").open = !narrow.matches);
narrow.addEventListener("change", foldPeople);
foldPeople();

keys({ views, search, composer });
views.restore();
live.start();
if (!narrow.matches && views.current === "chat") composer.focus();
