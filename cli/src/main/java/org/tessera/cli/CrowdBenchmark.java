package org.tessera.cli;

import java.net.http.HttpClient;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.IntStream;
import org.tessera.api.InputOptions;
import org.tessera.api.LoadOptions;
import org.tessera.api.Tessera;
import org.tessera.cli.CrowdReport.Crowd;
import org.tessera.cli.CrowdReport.Way;
import org.tessera.cli.CrowdRun.Client;
import org.tessera.server.ServerLimits;
import org.tessera.server.ServerOptions;
import org.tessera.server.TesseraServer;

/**
 * Crowds of clients before one loaded model, who ask the library and then a server before the same
 * library, over HTTP and from this process. Server and clients have the machine's cores together.
 */
final class CrowdBenchmark implements AutoCloseable {
  /** Warm enough: more run together in no step of the engine. */
  private static final int WARM_UP_CLIENTS = 64;

  /**
   * What is measured.
   *
   * @param clients how many ask at once, each number a crowd
   * @param pictureSide of each client's own picture, in pixels
   * @param newTokens of each answer
   * @param warmUpSeconds for which a crowd asks in both ways before; once at least
   * @param repetitions of each crowd and way
   */
  record Work(
      List<Integer> clients,
      int pictureSide,
      int newTokens,
      double warmUpSeconds,
      int repetitions) {
    Work {
      clients = List.copyOf(clients);
    }

    private int mostClients() {
      return clients.stream().mapToInt(Integer::intValue).max().orElse(0);
    }
  }

  /** Held, since the logging system forgets the level of a logger that nobody holds. */
  private final Logger helidon = Logger.getLogger("io.helidon");

  private final Work work;
  private final CrowdClients clients;
  private final Tessera tessera;
  private final TesseraServer server;
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final List<byte[]> pictures;
  private int nextSalt;

  /**
   * @throws org.tessera.error.TesseraException as {@link Tessera#load(Path, LoadOptions)}
   */
  CrowdBenchmark(Path checkpoint, LoadOptions load, Work work) {
    this.work = work;
    helidon.setLevel(Level.WARNING); // what it says of its start is nothing to a benchmark
    clients = new CrowdClients(work.newTokens());
    pictures = pictures(work);
    tessera = Tessera.load(checkpoint, load.withMaxWaiting(work.mostClients()));
    boolean done = false;
    try {
      server = TesseraServer.start(tessera, serverOptions());
      done = true;
    } finally {
      if (!done) {
        tessera.close();
      }
    }
  }

  private static List<byte[]> pictures(Work work) {
    return IntStream.range(0, work.mostClients())
        .parallel()
        .mapToObj(client -> BenchPicture.file(work.pictureSide(), new SplittableRandom(client)))
        .toList();
  }

  private static ServerOptions serverOptions() {
    return new ServerOptions(
        "127.0.0.1",
        /* port= */ 0,
        Optional.empty(),
        Optional.empty(),
        Set.of(),
        Set.of(),
        Set.of(),
        /* allowVideoFiles= */ false,
        /* vllmMetrics= */ false,
        InputOptions.DEFAULT_MAX_INPUT_TOKENS,
        ServerLimits.defaults());
  }

  Tessera tessera() {
    return tessera;
  }

  /** Slices of each client's picture. */
  int slices() {
    return tessera
        .plan(work.pictureSide(), work.pictureSide(), InputOptions.defaults())
        .slices()
        .sliceCount();
  }

  /** Positions that each client's prompt takes. */
  int promptTokens() {
    return clients.promptTokens(tessera, pictures.getFirst());
  }

  /**
   * Measures all crowds.
   *
   * @param measured told of each
   * @throws Exception what a client failed with
   */
  List<Crowd> measure(Consumer<Crowd> measured) throws Exception {
    warmUp();
    List<Crowd> crowds = new ArrayList<>();
    for (int count : work.clients()) {
      List<CrowdRun> direct = new ArrayList<>();
      List<CrowdRun> served = new ArrayList<>();
      for (int i = 0; i < work.repetitions(); i++) {
        direct.add(CrowdRun.of(direct(count)));
        served.add(CrowdRun.of(served(count)));
      }
      crowds.add(new Crowd(count, new Way(direct), new Way(served)));
      measured.accept(crowds.getLast());
    }
    return crowds;
  }

  private void warmUp() throws Exception {
    int count = Math.min(WARM_UP_CLIENTS, work.mostClients());
    long start = System.nanoTime();
    do {
      CrowdRun unused = CrowdRun.of(direct(count));
      unused = CrowdRun.of(served(count));
    } while (System.nanoTime() - start < work.warmUpSeconds() * 1e9);
  }

  private List<Client> direct(int count) {
    return pictures.stream()
        .limit(count)
        .map(picture -> clients.direct(tessera, picture, salt()))
        .toList();
  }

  private List<Client> served(int count) {
    return pictures.stream()
        .limit(count)
        .map(picture -> clients.overHttp(http, server.port(), picture, salt()))
        .toList();
  }

  /** Another one each time, so that no answer finds what an earlier one left in the cache. */
  private String salt() {
    return Integer.toString(nextSalt++);
  }

  @Override
  public void close() {
    http.close();
    server.close();
    tessera.close();
  }
}
