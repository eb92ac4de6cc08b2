package org.tessera.server;

import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.HttpRouting;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import org.tessera.api.Tessera;
import org.tessera.error.InvalidRequestException;

/**
 * A loaded model behind HTTP, as OpenAI's clients expect it. Closing it lets running answers finish
 * first; the model stays open.
 */
public final class TesseraServer implements AutoCloseable {
  /** Longer than any answer takes: {@link ClientConnection} keeps the deadlines of idle clients. */
  private static final Duration IDLE_TIMEOUT = Duration.ofDays(1);

  private final ServerOptions options;
  private final ServerState state = new ServerState();
  private final ScheduledExecutorService timer;
  private final WebServer web;

  private TesseraServer(Tessera tessera, ServerOptions options, Internet internet) {
    this.options = options;
    timer =
        Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("tessera-http-timer").factory());
    Routes routes = new Routes(tessera, options, state, internet);
    web =
        WebServer.builder()
            .host(options.host())
            .port(options.port())
            .shutdownHook(false)
            .protocolsDiscoverServices(false)
            .addConnectionSelector(new ConnectionSelector(options.limits(), timer))
            .idleConnectionTimeout(IDLE_TIMEOUT)
            .maxTcpConnections(options.limits().maxConnections())
            .maxPayloadSize((long) Bodies.DRAIN_FACTOR * options.limits().maxBodyBytes())
            .shutdownGracePeriod(Duration.ofSeconds(1))
            .directHandlers(Errors.directHandlers())
            .routing((HttpRouting.Builder routing) -> routes.register(routing))
            .build();
  }

  /**
   * Starts to listen.
   *
   * @param tessera the model, which must stay open for as long as the server
   * @throws InvalidRequestException where the address cannot be listened at
   */
  public static TesseraServer start(Tessera tessera, ServerOptions options) {
    return start(tessera, options, Internet.real());
  }

  static TesseraServer start(Tessera tessera, ServerOptions options, Internet internet) {
    TesseraServer server = new TesseraServer(tessera, options, internet);
    server.web.start();
    if (!server.web.isRunning()) {
      server.timer.shutdownNow();
      throw new InvalidRequestException(
          "cannot listen at %s port %d: it is in use or not allowed"
              .formatted(options.host(), options.port()));
    }
    return server;
  }

  /** The port that is listened at. */
  public int port() {
    return web.port();
  }

  /** Refuses new requests, lets running ones finish for a while, then stops listening. */
  @Override
  public synchronized void close() {
    state.drain(options.limits().drainTimeout());
    web.stop();
    timer.shutdownNow();
  }
}
