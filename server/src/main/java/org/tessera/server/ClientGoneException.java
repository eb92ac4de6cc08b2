package org.tessera.server;

import io.helidon.webserver.CloseConnectionException;

/**
 * The client hung up: nobody waits for the answer any longer. Helidon closes the connection on it
 * without a word, even where a part of the answer was sent.
 */
final class ClientGoneException extends CloseConnectionException {
  private static final long serialVersionUID = 1L;

  ClientGoneException() {
    super("the client is gone");
  }
}
