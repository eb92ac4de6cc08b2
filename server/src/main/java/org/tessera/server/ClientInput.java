package org.tessera.server;

import io.helidon.common.buffers.DataReader;
import io.helidon.common.socket.HelidonSocket;
import io.helidon.webserver.ServerConnectionException;
import java.io.UncheckedIOException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What comes from a client. While an answer is computed, when nothing should come, a thread waits
 * for it nevertheless: that is the only way to learn that the client has hung up. Whatever it reads
 * is what the connection reads next.
 */
final class ClientInput implements Supplier<byte[]> {
  private final HelidonSocket socket;
  private volatile @Nullable FutureTask<byte[]> ahead;
  private volatile boolean closed;

  ClientInput(HelidonSocket socket) {
    this.socket = socket;
  }

  DataReader reader() {
    return DataReader.create(this);
  }

  /** Starts to read ahead, unless that is going on already. */
  void watch() {
    if (ahead == null) {
      FutureTask<byte[]> task = new FutureTask<>(this::read);
      ahead = task;
      Thread.startVirtualThread(task);
    }
  }

  /** False once the client was found to have hung up. */
  boolean isOpen() {
    return !closed;
  }

  // The reader takes null for the end, as Helidon's own sockets give it.
  @SuppressWarnings("NullAway")
  @Override
  public byte[] get() {
    FutureTask<byte[]> task = ahead;
    if (task == null) {
      return read();
    }
    try {
      return task.get();
    } catch (InterruptedException e) {
      socket.close();
      Thread.currentThread().interrupt();
      throw new ServerConnectionException("interrupted", e);
    } catch (ExecutionException e) {
      throw new ServerConnectionException("reading failed", e.getCause());
    } finally {
      ahead = null;
    }
  }

  @SuppressWarnings("NullAway")
  private byte[] read() {
    try {
      byte[] bytes = socket.get();
      closed = bytes == null;
      return bytes;
    } catch (UncheckedIOException e) {
      closed = true;
      throw new ServerConnectionException("reading failed", e);
    } catch (RuntimeException e) {
      closed = true;
      throw e;
    }
  }
}
