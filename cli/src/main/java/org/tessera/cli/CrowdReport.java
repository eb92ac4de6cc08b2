package org.tessera.cli;

import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.tessera.cli.Benchmark.Figures;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * How crowds of clients were measured; with what they heard of the library and of a server before
 * it, a report.
 *
 * @param loadSeconds from the files to a model on its device
 * @param contextTokens positions that the cache has room for
 * @param pictureSide of every client's picture, in pixels
 * @param slices of each picture
 * @param promptTokens positions of each prompt
 * @param newTokens of each answer
 */
record CrowdReport(
    String name,
    String machine,
    String placement,
    double loadSeconds,
    int contextTokens,
    int pictureSide,
    int slices,
    int promptTokens,
    int newTokens) {
  /** So many clients at once, measured in both ways in turn. */
  record Crowd(int clients, Way direct, Way server) {
    /** The part of the requests a second that go missing behind a server, in percent. */
    double serverCostPercent() {
      return 100 * (1 - server.requestsPerSecond().median() / direct.requestsPerSecond().median());
    }
  }

  /** One way of asking, one or several times. */
  record Way(List<CrowdRun> runs) {
    Way {
      runs = List.copyOf(runs);
    }

    Figures requestsPerSecond() {
      return each(run -> run.firstTokenSeconds().size() / run.seconds());
    }

    Figures tokensPerSecond() {
      return each(run -> run.newTokens() / run.seconds());
    }

    /** The milliseconds to the first token that a share {@code q} of all answers kept within. */
    double firstTokenMillis(double q) {
      return 1000 * quantile(all(CrowdRun::firstTokenSeconds), q);
    }

    /** The milliseconds that a share {@code q} of all times between tokens kept within. */
    double betweenTokensMillis(double q) {
      return 1000 * quantile(all(CrowdRun::gapSeconds), q);
    }

    private Figures each(Function<CrowdRun, Double> figure) {
      return new Figures(runs.stream().map(figure).toList());
    }

    private List<Double> all(Function<CrowdRun, List<Double>> figures) {
      return runs.stream().map(figures).flatMap(List::stream).toList();
    }
  }

  /** The smallest value that a share {@code q} of all is not above; 0 of none. */
  static double quantile(List<Double> values, double q) {
    if (values.isEmpty()) {
      return 0;
    }
    List<Double> sorted = values.stream().sorted().toList();
    return sorted.get(Math.max(0, (int) Math.ceil(q * sorted.size()) - 1));
  }

  /** What stands above the {@link #lines} of crowds. */
  String head() {
    return String.join(
        System.lineSeparator(),
        "%s on %s".formatted(name, machine),
        placement,
        format("loaded in %.2f s, room for %d positions", loadSeconds, contextTokens),
        format(
            "each client: a picture of %d x %d, %d slices, %d positions, %d new tokens; all at once",
            pictureSide, pictureSide, slices, promptTokens, newTokens),
        "                     requests/s   tokens/s   first token p50, p99 ms"
            + "   next token p50, p99 ms");
  }

  /** A crowd's two ways. */
  static String lines(Crowd crowd) {
    return line(crowd.clients(), "direct", crowd.direct())
        + System.lineSeparator()
        + line(crowd.clients(), "server", crowd.server())
        + format("   costs %.1f %%", crowd.serverCostPercent());
  }

  private static String line(int clients, String label, Way way) {
    return format(
        "%4d clients, %s %11.2f %10.0f %14.0f %10.0f %13.1f %10.1f",
        clients,
        label,
        way.requestsPerSecond().median(),
        way.tokensPerSecond().median(),
        way.firstTokenMillis(0.5),
        way.firstTokenMillis(0.99),
        way.betweenTokensMillis(0.5),
        way.betweenTokensMillis(0.99));
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  String toJson(List<Crowd> crowds) {
    ObjectNode json = JsonMapper.shared().createObjectNode();
    json.put("model", name)
        .put("machine", machine)
        .put("placement", placement)
        .put("load_seconds", loadSeconds)
        .put("context_tokens", contextTokens)
        .put("picture_side", pictureSide)
        .put("slices", slices)
        .put("prompt_tokens", promptTokens)
        .put("new_tokens", newTokens);
    for (Crowd crowd : crowds) {
      ObjectNode node = json.withArray("crowds").addObject().put("clients", crowd.clients());
      put(node.putObject("direct"), crowd.direct());
      put(node.putObject("server"), crowd.server());
      node.put("server_cost_percent", crowd.serverCostPercent());
    }
    return json.toString();
  }

  private static void put(ObjectNode json, Way way) {
    Figures requests = way.requestsPerSecond();
    json.put("runs", way.runs().size());
    json.putObject("requests_per_second")
        .put("median", requests.median())
        .put("best", requests.highest())
        .put("worst", requests.lowest());
    json.put("tokens_per_second", way.tokensPerSecond().median());
    json.putObject("first_token_ms")
        .put("p50", way.firstTokenMillis(0.5))
        .put("p99", way.firstTokenMillis(0.99));
    json.putObject("between_tokens_ms")
        .put("p50", way.betweenTokensMillis(0.5))
        .put("p99", way.betweenTokensMillis(0.99));
    json.put("cached_tokens", way.runs().stream().mapToLong(CrowdRun::cachedTokens).sum());
  }
}
