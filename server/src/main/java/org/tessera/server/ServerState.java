package org.tessera.server;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.tessera.api.TokenStream;

/** Whether the server takes requests, and what it is busy with. */
final class ServerState {
  private final Set<TokenStream> streams = ConcurrentHashMap.newKeySet();
  private int requests;
  private boolean draining;

  /** Counts a request until the result is closed. */
  synchronized Running enter() {
    requests++;
    return this::leave;
  }

  private synchronized void leave() {
    requests--;
    notifyAll();
  }

  synchronized boolean isDraining() {
    return draining;
  }

  /**
   * @throws ApiException 503 where the server is about to close
   */
  synchronized void requireOpen() {
    if (draining) {
      throw ApiException.unavailable("the server is shutting down");
    }
  }

  /** An answer that is to be ended should the server close. */
  void add(TokenStream stream) {
    streams.add(stream);
  }

  void remove(TokenStream stream) {
    streams.remove(stream);
  }

  /** Lets running requests finish, and ends the answers of those that take longer. */
  void drain(Duration timeout) {
    awaitIdle(timeout);
    streams.forEach(TokenStream::cancel);
    awaitIdle(Duration.ofSeconds(5));
  }

  private synchronized void awaitIdle(Duration timeout) {
    draining = true;
    long end = System.nanoTime() + timeout.toNanos();
    try {
      for (long left = timeout.toMillis();
          requests > 0 && left > 0;
          left = (end - System.nanoTime()) / 1_000_000) {
        wait(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** A request that is being served. */
  interface Running extends AutoCloseable {
    @Override
    void close();
  }
}
