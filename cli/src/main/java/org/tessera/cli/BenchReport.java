package org.tessera.cli;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tessera.cli.Benchmark.Figures;
import org.tessera.cli.Benchmark.Work;
import org.tessera.tensor.DType;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a benchmark measured.
 *
 * @param bandwidth bytes a second
 * @param decode tokens a second by the number of answers decoded at a time
 * @param decodeBytes bytes of weights that a step of decoding reads
 * @param prefill by the positions of the prompt
 * @param vision seconds
 */
record BenchReport(
    String name,
    String machine,
    Work work,
    Figures bandwidth,
    Map<Integer, Figures> decode,
    double decodeBytes,
    Map<Integer, Prefill> prefill,
    Optional<Figures> vision) {

  /** Seconds, and the operations that they took. */
  record Prefill(Figures seconds, double operations) {
    double medianGigaflops() {
      return operations / seconds.median() / 1e9;
    }

    double bestGigaflops() {
      return operations / seconds.lowest() / 1e9;
    }
  }

  static BenchReport measure(
      String name, String machine, Benchmark benchmark, Work work, DType type, boolean hasVision) {
    Figures bandwidth = benchmark.readBandwidth();
    Map<Integer, Figures> decode = new LinkedHashMap<>();
    work.batches().forEach(batch -> decode.put(batch, benchmark.decode(batch)));
    Map<Integer, Prefill> prefill = new LinkedHashMap<>();
    for (int tokens : work.prefillTokens()) {
      prefill.put(
          tokens, new Prefill(benchmark.prefill(tokens), benchmark.prefillOperations(tokens)));
    }
    Optional<Figures> vision = hasVision ? Optional.of(benchmark.vision()) : Optional.empty();
    return new BenchReport(
        name, machine, work, bandwidth, decode, benchmark.decodeBytes(type), prefill, vision);
  }

  /** How much of the measured bandwidth the weights alone use, in percent. */
  private double bandwidthPercent(int batch, double tokensPerSecond) {
    return 100 * tokensPerSecond / batch * decodeBytes / bandwidth.highest();
  }

  /**
   * @param loadSeconds from weights in memory to a model on its device
   */
  String toTable(double loadSeconds) {
    StringBuilder table = new StringBuilder();
    line(table, "%s on %s", name, machine);
    line(table, "load          %8.2f s", loadSeconds);
    line(
        table,
        "memory read   %8.1f GB/s     best %.1f",
        bandwidth.median() / 1e9,
        bandwidth.highest() / 1e9);
    decode.forEach((batch, figures) ->
        line(
            table,
            "decode x %-4d %8.2f tokens/s best %.2f; after %d positions; %.3f GB of weights a step,"
                + " %.0f %% of the memory's bandwidth (best %.0f %%)",
            batch,
            figures.median(),
            figures.highest(),
            work.contextTokens(),
            decodeBytes / 1e9,
            bandwidthPercent(batch, figures.median()),
            bandwidthPercent(batch, figures.highest())));
    prefill.forEach((tokens, figures) ->
        line(
            table,
            "prefill %-5d %8.1f GFLOP/s  best %.1f; %.1f ms",
            tokens,
            figures.medianGigaflops(),
            figures.bestGigaflops(),
            figures.seconds().median() * 1000));
    vision.ifPresent(figures ->
        line(
            table,
            "vision x %-4d %8.1f ms, best %.1f",
            work.slices(),
            figures.median() * 1000,
            figures.lowest() * 1000));
    return table.toString().stripTrailing();
  }

  String toJson(double loadSeconds) {
    ObjectNode json = JsonMapper.shared().createObjectNode();
    json.put("model", name);
    json.put("machine", machine);
    json.put("load_seconds", loadSeconds);
    put(json, "memory_read_gb_per_second", bandwidth.median() / 1e9, bandwidth.highest() / 1e9);
    json.put("decode_weight_bytes_per_step", (long) decodeBytes);
    json.put("decode_context_tokens", work.contextTokens());
    decode.forEach((batch, figures) -> {
      ObjectNode node = json.withArray("decode").addObject().put("batch", batch);
      put(node, "tokens_per_second", figures.median(), figures.highest());
      put(
          node,
          "percent_of_memory_read",
          bandwidthPercent(batch, figures.median()),
          bandwidthPercent(batch, figures.highest()));
    });
    prefill.forEach((tokens, figures) -> {
      ObjectNode node = json.withArray("prefill").addObject().put("tokens", tokens);
      put(node, "gflops", figures.medianGigaflops(), figures.bestGigaflops());
      put(node, "ms", figures.seconds().median() * 1000, figures.seconds().lowest() * 1000);
    });
    vision.ifPresent(figures -> {
      ObjectNode node = json.putObject("vision").put("slices", work.slices());
      put(node, "ms", figures.median() * 1000, figures.lowest() * 1000);
    });
    return json.toString();
  }

  private static void put(ObjectNode json, String name, double median, double best) {
    json.putObject(name).put("median", median).put("best", best);
  }

  private static void line(StringBuilder table, String format, Object... values) {
    table.append(String.format(Locale.ROOT, format, values)).append(System.lineSeparator());
  }
}
