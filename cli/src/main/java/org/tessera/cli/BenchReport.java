package org.tessera.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.tessera.cli.Benchmark.Figures;
import org.tessera.cli.Benchmark.Work;
import org.tessera.tensor.DType;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a benchmark measured, each figure beside what memory or one large product would allow.
 *
 * @param placement what of the model runs where
 * @param ranks devices that read the weights of a layer at the same time
 * @param devices that compute at the same time
 * @param bandwidth bytes a second, of one device
 * @param product operations a second of a large product, on one device
 * @param decode tokens a second by the number of answers decoded at a time
 * @param decodeBytes bytes of weights that a step of decoding reads
 * @param prefill by the positions of the prompt
 */
record BenchReport(
    String name,
    String machine,
    String placement,
    int ranks,
    int devices,
    Work work,
    Loading loading,
    Figures bandwidth,
    Figures product,
    Map<Integer, Figures> decode,
    double decodeBytes,
    Map<Integer, Timed> prefill,
    Optional<Timed> vision,
    Optional<Picture> picture) {

  /**
   * From weights in host memory or in the page cache to a model on its device.
   *
   * @param memoryGrowth bytes by which this process grew, files left out; empty where unknown
   */
  record Loading(double seconds, long weightBytes, OptionalLong memoryGrowth) {}

  /** Seconds, and the operations that they took. */
  record Timed(Figures seconds, double operations) {
    double medianGigaflops() {
      return operations / seconds.median() / 1e9;
    }

    double bestGigaflops() {
      return operations / seconds.lowest() / 1e9;
    }
  }

  /**
   * The first token of an answer about a picture.
   *
   * @param seconds from the file to the token
   * @param preparation the part of decoding, resizing and cutting
   */
  record Picture(int slices, int promptTokens, Figures seconds, Figures preparation) {}

  static BenchReport measure(
      String name,
      String machine,
      String placement,
      Loading loading,
      Benchmark benchmark,
      Work work,
      DType type,
      boolean hasVision) {
    Figures bandwidth = benchmark.readBandwidth();
    Figures product = benchmark.productRate();
    Map<Integer, Figures> decode = new LinkedHashMap<>();
    work.batches().forEach(batch -> decode.put(batch, benchmark.decode(batch)));
    Map<Integer, Timed> prefill = new LinkedHashMap<>();
    for (int tokens : work.prefillTokens()) {
      prefill.put(
          tokens,
          new Timed(benchmark.prefill(tokens), benchmark.costs().prefillOperations(tokens)));
    }
    Optional<Timed> vision =
        hasVision
            ? Optional.of(
                new Timed(benchmark.vision(), benchmark.costs().visionOperations(work.slices())))
            : Optional.empty();
    return new BenchReport(
        name,
        machine,
        placement,
        benchmark.ranks(),
        benchmark.devices(),
        work,
        loading,
        bandwidth,
        product,
        decode,
        benchmark.costs().decodeBytes(type),
        prefill,
        vision,
        work.pictureSide() == 0 ? Optional.empty() : Optional.of(picture(benchmark)));
  }

  private static Picture picture(Benchmark benchmark) {
    List<Double> preparation = new ArrayList<>();
    Figures seconds = benchmark.firstToken(preparation);
    return new Picture(
        benchmark.pictureSlices(), benchmark.pictureTokens(), seconds, new Figures(preparation));
  }

  /**
   * Tokens a second if reading the weights at the measured bandwidth were all. Stages take turns,
   * and copies share the answers: neither reads a step's weights any faster.
   */
  private double decodeBound(int batch) {
    return batch * ranks * bandwidth.highest() / decodeBytes;
  }

  /** Milliseconds if all operations ran at the rate of the large product, on all devices. */
  private double boundMilliseconds(Timed timed) {
    return timed.operations() / (devices * product.highest()) * 1e3;
  }

  String toTable() {
    StringBuilder table = new StringBuilder();
    line(table, "%s on %s", name, machine);
    line(table, "%s", placement);
    line(
        table,
        "load          %8.2f s        %.1f GB of weights, %.1f GB/s%s",
        loading.seconds(),
        loading.weightBytes() / 1e9,
        loading.weightBytes() / loading.seconds() / 1e9,
        loading.memoryGrowth().isPresent()
            ? "; host memory %+d MB".formatted(loading.memoryGrowth().getAsLong() >> 20)
            : "");
    line(
        table,
        "memory read   %8.1f GB/s     best %.1f",
        bandwidth.median() / 1e9,
        bandwidth.highest() / 1e9);
    line(
        table,
        "product       %8.1f GFLOP/s  best %.1f",
        product.median() / 1e9,
        product.highest() / 1e9);
    decode.forEach((batch, figures) ->
        line(
            table,
            "decode x %-4d %8.2f tokens/s best %.2f; after %d positions; %.3f GB of weights a step,"
                + " bound %.1f tokens/s: %.0f %% (best %.0f %%)",
            batch,
            figures.median(),
            figures.highest(),
            work.contextTokens(),
            decodeBytes / 1e9,
            decodeBound(batch),
            100 * figures.median() / decodeBound(batch),
            100 * figures.highest() / decodeBound(batch)));
    prefill.forEach((tokens, figures) -> timed(table, "prefill %-5d".formatted(tokens), figures));
    vision.ifPresent(figures -> timed(table, "vision x %-4d".formatted(work.slices()), figures));
    picture.ifPresent(figures ->
        line(
            table,
            "first token   %8.1f ms       best %.1f; from the file of a picture of %d x %d: %d"
                + " slices, %d positions; %.1f ms of it before the engine",
            figures.seconds().median() * 1000,
            figures.seconds().lowest() * 1000,
            work.pictureSide(),
            work.pictureSide(),
            figures.slices(),
            figures.promptTokens(),
            figures.preparation().median() * 1000));
    return table.toString().stripTrailing();
  }

  private void timed(StringBuilder table, String label, Timed figures) {
    double bound = boundMilliseconds(figures);
    line(
        table,
        "%s %8.1f ms       best %.1f; %.1f GFLOP/s (best %.1f), bound %.1f ms: %.0f %%",
        label,
        figures.seconds().median() * 1000,
        figures.seconds().lowest() * 1000,
        figures.medianGigaflops(),
        figures.bestGigaflops(),
        bound,
        100 * bound / (figures.seconds().median() * 1000));
  }

  String toJson() {
    ObjectNode json = JsonMapper.shared().createObjectNode();
    json.put("model", name);
    json.put("machine", machine);
    json.put("placement", placement);
    json.put("load_seconds", loading.seconds());
    json.put("load_weight_bytes", loading.weightBytes());
    loading.memoryGrowth().ifPresent(bytes -> json.put("load_host_memory_growth_bytes", bytes));
    put(json, "memory_read_gb_per_second", bandwidth.median() / 1e9, bandwidth.highest() / 1e9);
    put(json, "product_gflops", product.median() / 1e9, product.highest() / 1e9);
    json.put("decode_weight_bytes_per_step", (long) decodeBytes);
    json.put("decode_context_tokens", work.contextTokens());
    decode.forEach((batch, figures) -> {
      ObjectNode node = json.withArray("decode").addObject().put("batch", batch);
      put(node, "tokens_per_second", figures.median(), figures.highest());
      node.put("bound_tokens_per_second", decodeBound(batch));
      put(
          node,
          "percent_of_memory_read",
          100 * figures.median() / decodeBound(batch),
          100 * figures.highest() / decodeBound(batch));
    });
    prefill.forEach((tokens, figures) ->
        put(json.withArray("prefill").addObject().put("tokens", tokens), figures));
    vision.ifPresent(
        figures -> put(json.putObject("vision").put("slices", work.slices()), figures));
    picture.ifPresent(figures -> {
      ObjectNode node = json.putObject("first_token").put("picture_side", work.pictureSide());
      node.put("slices", figures.slices()).put("tokens", figures.promptTokens());
      put(node, "ms", figures.seconds().median() * 1000, figures.seconds().lowest() * 1000);
      put(
          node,
          "preparation_ms",
          figures.preparation().median() * 1000,
          figures.preparation().lowest() * 1000);
    });
    return json.toString();
  }

  private void put(ObjectNode node, Timed figures) {
    put(node, "gflops", figures.medianGigaflops(), figures.bestGigaflops());
    put(node, "ms", figures.seconds().median() * 1000, figures.seconds().lowest() * 1000);
    node.put("bound_ms", boundMilliseconds(figures));
  }

  private static void put(ObjectNode json, String name, double median, double best) {
    json.putObject(name).put("median", median).put("best", best);
  }

  private static void line(StringBuilder table, String format, Object... values) {
    table.append(String.format(Locale.ROOT, format, values)).append(System.lineSeparator());
  }
}
