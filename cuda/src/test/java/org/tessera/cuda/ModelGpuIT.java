package org.tessera.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.LoadOptions;
import org.tessera.api.Message;
import org.tessera.api.Tessera;
import org.tessera.api.TokenLogprob;
import org.tessera.api.TokenLogprob.Alternative;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.error.TesseraException;
import org.tessera.tensor.DType;
import org.tessera.testing.ChatCase;
import org.tessera.testing.ReferenceVectors;

/** Whole models on a card: what they answer, what they leave behind and what they survive. */
class ModelGpuIT {
  /** Held open, so that each load below finds the driver's context there. */
  @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

  private static final GenerationOptions GREEDY = GenerationOptions.greedy().withMaxNewTokens(24);
  private static final int ALTERNATIVES = 5;

  /** Of the log-probability of a chosen token, in bf16 where the processor computes in fp32. */
  private static final double LARGEST_ERROR = 0.25;

  /** A difference so many times the error is not put down to it. */
  private static final double CLEAR_MARGIN = 10;

  private static Tessera load(Path checkpoint, String device) {
    return Tessera.load(checkpoint, LoadOptions.defaults().withDevice(device));
  }

  @Test
  void theConformanceCheckpointAnswersAsOnTheProcessor() {
    List<ChatRequest> requests = ChatCase.all().stream().map(chat -> chat.request(GREEDY)).toList();
    assertThat(requests).isNotEmpty();
    checkAnswers(ReferenceVectors.path("checkpoint"), requests);
  }

  @Test
  void theDemoModelAnswersAsOnTheProcessor() throws IOException {
    Path demo = Path.of(System.getProperty("project.root", ".."), "demo");
    assumeTrue(
        Files.exists(demo.resolve("model/model.safetensors.index.json")),
        "the demo model has no weights in demo/model");
    List<ChatRequest> requests = new ArrayList<>();
    try (DirectoryStream<Path> pictures =
        Files.newDirectoryStream(demo.resolve("pictures"), "*.{png,jpg}")) {
      for (Path picture : pictures) {
        requests.add(
            ChatRequest.of(Message.user("What colour is the circle?", Image.of(picture)))
                .with(GREEDY));
      }
    }
    assertThat(requests).isNotEmpty();
    checkAnswers(demo.resolve("model"), requests);
  }

  /** One by one, and all in one batch, where products of more rows take other ways. */
  private static void checkAnswers(Path checkpoint, List<ChatRequest> requests) {
    List<ChatRequest> reporting =
        requests.stream()
            .map(request -> request.with(request.generation().withLogprobs(ALTERNATIVES)))
            .toList();
    List<ChatResponse> onProcessor;
    try (Tessera tessera = load(checkpoint, "cpu")) {
      onProcessor = tessera.chat(reporting);
    }
    try (Tessera tessera = load(checkpoint, "cuda:0")) {
      for (int i = 0; i < requests.size(); i++) {
        ChatResponse expected = onProcessor.get(i);
        ChatResponse reported = tessera.chat(reporting.get(i));
        checkTokens("alone, request " + i, expected.logprobs(), reported.logprobs());
        // The likeliest tokens chosen on the device.
        List<Integer> chosen = tessera.chat(requests.get(i)).tokenIds();
        checkChosen("chosen on the device, request " + i, reported, chosen);
      }
      List<ChatResponse> together = tessera.chat(reporting);
      for (int i = 0; i < requests.size(); i++) {
        checkTokens(
            "together, request " + i, onProcessor.get(i).logprobs(), together.get(i).logprobs());
      }
    }
  }

  /** Up to the first token that differs: what follows answers another prompt. */
  private static void checkTokens(
      String what, List<TokenLogprob> expected, List<TokenLogprob> found) {
    assertThat(expected).as(what).isNotEmpty();
    for (int i = 0; i < Math.min(expected.size(), found.size()); i++) {
      TokenLogprob a = expected.get(i);
      TokenLogprob b = found.get(i);
      double error = error(a, b);
      if (a.tokenId() != b.tokenId()) {
        assertThat(margin(a))
            .as("%s, token %d: margin over %d, chosen in its place", what, i, b.tokenId())
            .isLessThanOrEqualTo(CLEAR_MARGIN * error);
        return;
      }
      assertThat(Math.abs(a.logprob() - b.logprob()))
          .as("%s, token %d: error of its log-probability", what, i)
          .isLessThan(LARGEST_ERROR);
    }
    assertThat(found).as(what).hasSameSizeAs(expected);
  }

  private static void checkChosen(String what, ChatResponse reported, List<Integer> chosen) {
    List<TokenLogprob> tokens = reported.logprobs();
    for (int i = 0; i < Math.min(tokens.size(), chosen.size()); i++) {
      if (tokens.get(i).tokenId() != chosen.get(i)) {
        // The second time the prompt is in the cache, so that other kernels computed its end.
        assertThat(margin(tokens.get(i))).as("%s, token %d", what, i).isLessThan(LARGEST_ERROR);
        return;
      }
    }
  }

  /** How far the likeliest token is before the next. */
  private static double margin(TokenLogprob token) {
    return token.top().get(0).logprob() - token.top().get(1).logprob();
  }

  /** The largest difference of a token that both report. */
  private static double error(TokenLogprob a, TokenLogprob b) {
    double error = 0;
    for (Alternative of : a.top()) {
      for (Alternative other : b.top()) {
        if (of.tokenId() == other.tokenId()) {
          error = Math.max(error, Math.abs(of.logprob() - other.logprob()));
        }
      }
    }
    return error;
  }

  @Test
  void fiftyLoadsLeaveNothing() {
    ChatRequest request = ChatCase.all().getFirst().request(GREEDY.withMaxNewTokens(3));
    loadAndAnswer(request);
    long before = GPU.device().info().freeBytes();
    for (int i = 0; i < 50; i++) {
      loadAndAnswer(request);
    }
    // The driver keeps small pools of its own; each load takes more than a megabyte.
    assertThat(before - GPU.device().info().freeBytes()).isLessThan(32 << 20);
  }

  private static void loadAndAnswer(ChatRequest request) {
    try (Tessera tessera = load(ReferenceVectors.path("checkpoint"), "cuda:0")) {
      assertThat(tessera.chat(request).tokenIds()).isNotEmpty();
    }
  }

  @Test
  void outOfMemoryFailsTheRequestAndNotTheModel() {
    ChatRequest request = ChatCase.all().getFirst().request(GREEDY);
    try (Tessera tessera = load(ReferenceVectors.path("checkpoint"), "cuda:0")) {
      try (DeviceRegion everything = new DeviceRegion(GPU.device().context())) {
        takeAll(everything);
        assertThatThrownBy(() -> tessera.chat(request)).isInstanceOf(TesseraException.class);
      }
      assertThat(tessera.chat(request).tokenIds()).isNotEmpty();
      assertThat(tessera.chat(request).tokenIds()).isNotEmpty();
    }
  }

  private static void takeAll(DeviceRegion region) {
    for (long bytes = 8L << 30; bytes >= 1 << 20; bytes /= 2) {
      try {
        while (true) {
          region.allocate(bytes);
        }
      } catch (CudaException e) {
        assertThat(e.isOutOfMemory()).as(e.getMessage()).isTrue();
      }
    }
  }
}
