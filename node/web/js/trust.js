// Whether who answers at this address may be told the token. It is while a connection to it lasts: the port cannot have
// changed hands then. After a break it must first show the id of the node that was there before.
//
// An id is no secret: a process of another user of this machine that has read it while the node ran, and takes the port
// while it is down, can show it and is told the token. It can then read and write the chat once the node is back, until
// `data_dir/api.token` is deleted and the node started anew. What this does keep from the token is every other program
// that happens to get the port, and another node. Who shares a machine with strangers uses the Unix socket, or a port
// that they cannot have (below 1024).

class Trust {
  #id = null;
  isGiven = false;

  /** Trusts who shows this id, if it is the first or the one known. */
  give(id) {
    this.#id ??= id ?? null;
    this.isGiven = typeof id === "string" && id === this.#id;
    return this.isGiven;
  }

  /** A connection broke: who answers next may be another. */
  end() {
    this.isGiven = false;
  }

  /** Somebody gave a token for whoever is here now. */
  renew() {
    this.#id = null;
    this.end();
  }
}

export const trust = new Trust();
