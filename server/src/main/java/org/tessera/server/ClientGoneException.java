package org.tessera.server;

/** The client hung up: nobody waits for the answer any longer. */
final class ClientGoneException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ClientGoneException() {
    super("the client is gone", null, false, false);
  }
}
