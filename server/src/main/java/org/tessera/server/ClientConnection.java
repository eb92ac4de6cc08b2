package org.tessera.server;

import java.time.Duration;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One connection while its thread serves it: whether the client is still there, and how long it may
 * take for what it is expected to do. A client that takes longer is cut off: interrupting a virtual
 * thread that waits for a socket closes the socket.
 */
final class ClientConnection {
  /** The connection of the request that the current thread serves. */
  static final ScopedValue<ClientConnection> CURRENT = ScopedValue.newInstance();

  private final ClientInput input;
  private final Thread thread;
  private final ScheduledExecutorService timer;

  private @Nullable ScheduledFuture<?> alarm;
  private long alarmNumber;

  ClientConnection(ClientInput input, Thread thread, ScheduledExecutorService timer) {
    this.input = input;
    this.thread = thread;
    this.timer = timer;
  }

  /** Cuts the connection off unless {@link #disarm} or the next call comes first. */
  synchronized void arm(Duration timeout) {
    disarm();
    long number = alarmNumber;
    alarm = timer.schedule(() -> ring(number), timeout.toMillis(), TimeUnit.MILLISECONDS);
  }

  synchronized void disarm() {
    alarmNumber++;
    if (alarm != null) {
      alarm.cancel(false);
      alarm = null;
    }
  }

  /** From here until the next read the client is watched for hanging up. */
  void watch() {
    input.watch();
  }

  /** False once a watched client has hung up. */
  boolean isConnected() {
    return input.isOpen();
  }

  private synchronized void ring(long number) {
    if (number == alarmNumber) {
      thread.interrupt();
    }
  }
}
