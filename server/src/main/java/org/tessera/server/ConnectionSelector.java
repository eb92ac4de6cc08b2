package org.tessera.server;

import io.helidon.common.buffers.BufferData;
import io.helidon.common.concurrency.limits.Limit;
import io.helidon.http.Headers;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.http1.Http1Config;
import io.helidon.webserver.http1.Http1ConnectionListener;
import io.helidon.webserver.http1.Http1ConnectionSelector;
import io.helidon.webserver.spi.ServerConnection;
import io.helidon.webserver.spi.ServerConnectionSelector;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ScheduledExecutorService;

/** HTTP/1.1 connections that know their {@link ClientConnection} and keep its deadlines. */
final class ConnectionSelector implements ServerConnectionSelector {
  private final Http1ConnectionSelector http1;
  private final ServerLimits limits;
  private final ScheduledExecutorService timer;

  ConnectionSelector(ServerLimits limits, ScheduledExecutorService timer) {
    this.limits = limits;
    this.timer = timer;
    http1 =
        Http1ConnectionSelector.builder()
            .config(
                Http1Config.builder()
                    .maxHeadersSize(limits.maxHeaderBytes())
                    .addReceiveListener(new HeadersArrived(limits.bodyTimeout()))
                    .build())
            .build();
  }

  @Override
  public int bytesToIdentifyConnection() {
    return http1.bytesToIdentifyConnection();
  }

  @Override
  public Support supports(BufferData data) {
    return http1.supports(data);
  }

  @Override
  public Set<String> supportedApplicationProtocols() {
    return http1.supportedApplicationProtocols();
  }

  @Override
  public ServerConnection connection(ConnectionContext context) {
    // With a single selector nothing has been read yet.
    ClientInput input = new ClientInput(context.serverSocket());
    return new Watched(http1.connection(new WatchedContext(context, input.reader())), input);
  }

  private final class Watched implements ServerConnection {
    private final ServerConnection delegate;
    private final ClientInput input;

    Watched(ServerConnection delegate, ClientInput input) {
      this.delegate = delegate;
      this.input = input;
    }

    @Override
    public void handle(Limit limit) throws InterruptedException {
      ClientConnection connection = new ClientConnection(input, Thread.currentThread(), timer);
      connection.arm(limits.headerTimeout());
      try {
        ScopedValue.where(ClientConnection.CURRENT, connection)
            .call(() -> {
              delegate.handle(limit);
              return true;
            });
      } finally {
        connection.disarm();
      }
    }

    @Override
    public Duration idleTime() {
      return delegate.idleTime();
    }

    @Override
    public void close(boolean interrupt) {
      delegate.close(interrupt);
    }
  }

  /** The headers are complete: now the body has its time. */
  private record HeadersArrived(Duration bodyTimeout) implements Http1ConnectionListener {
    @Override
    public void headers(ConnectionContext context, Headers headers) {
      ClientConnection.CURRENT.get().arm(bodyTimeout);
    }
  }
}
