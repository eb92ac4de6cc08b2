package org.tessera.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.InputOptions;
import org.tessera.api.Message;
import org.tessera.api.Tessera;
import org.tessera.api.TokenStream;
import org.tessera.api.Usage;
import org.tessera.cli.CrowdRun.Client;
import org.tessera.cli.CrowdRun.Tokens;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Clients that ask the same in two ways: of the library, and of a server before it. Each question
 * is about a JPEG file and is answered with as many tokens as were asked for, the likeliest ones.
 *
 * @param newTokens of each answer
 */
record CrowdClients(int newTokens) {
  private static final String QUESTION = "What is in the picture?";

  /**
   * Asks the library.
   *
   * @param salt questions with different ones share nothing in the cache
   */
  Client direct(Tessera tessera, byte[] picture, String salt) {
    ChatRequest request = request(picture, salt);
    return piece -> {
      try (TokenStream stream = tessera.stream(request)) {
        for (Iterator<String> pieces = stream.iterator(); pieces.hasNext(); ) {
          String unused = pieces.next();
          piece.run();
        }
        Usage usage = stream.response().usage();
        return counted(new Tokens(usage.cachedTokens(), usage.completionTokens()));
      }
    };
  }

  /** Positions that a question about this picture takes. */
  int promptTokens(Tessera tessera, byte[] picture) {
    return tessera.tokenize(request(picture, "")).size();
  }

  private ChatRequest request(byte[] picture, String salt) {
    return new ChatRequest(
        List.of(Message.user(QUESTION, new Image.Encoded("picture.jpg", picture))),
        GenerationOptions.greedy().withMinNewTokens(newTokens).withMaxNewTokens(newTokens),
        InputOptions.defaults().withCacheSalt(salt));
  }

  /** Asks a server on this machine for a stream, as OpenAI's clients do. */
  Client overHttp(HttpClient http, int port, byte[] picture, String salt) {
    String body =
        """
        {"messages":[{"role":"user","content":[{"type":"image_url","image_url":\
        {"url":"data:image/jpeg;base64,%s"}},{"type":"text","text":"%s"}]}],"temperature":0,\
        "min_tokens":%d,"max_tokens":%d,"cache_salt":"%s","stream":true,\
        "stream_options":{"include_usage":true}}\
        """
            .formatted(
                Base64.getEncoder().encodeToString(picture), QUESTION, newTokens, newTokens, salt);
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/v1/chat/completions"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
    return piece -> {
      HttpResponse<InputStream> response =
          http.send(request, HttpResponse.BodyHandlers.ofInputStream());
      try (InputStream in = response.body()) {
        if (response.statusCode() != 200) {
          String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
          throw new InvalidRequestException(
              "the server refused a client with status %d: %s"
                  .formatted(response.statusCode(), text));
        }
        return counted(read(in, piece));
      }
    };
  }

  /** Reads a stream of events to its end. */
  private static Tokens read(InputStream in, Runnable piece) throws IOException {
    BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    @Nullable Tokens tokens = null;
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.equals("data: [DONE]") && tokens != null) {
        return tokens;
      }
      if (!line.startsWith("data: ")) {
        continue; // between events, or a comment
      }
      JsonNode chunk = JsonMapper.shared().readTree(line.substring("data: ".length()));
      if (chunk.has("error")) {
        throw new GenerationException(
            "the server broke an answer off: " + chunk.at("/error/message").asString());
      }
      if (!chunk.at("/choices/0/delta/content").asString("").isEmpty()) {
        piece.run();
      }
      if (chunk.path("usage").isObject()) {
        tokens =
            new Tokens(
                chunk.at("/usage/prompt_tokens_details/cached_tokens").asInt(),
                chunk.at("/usage/completion_tokens").asInt());
      }
    }
    throw new GenerationException("the server cut an answer off");
  }

  private Tokens counted(Tokens tokens) {
    if (tokens.completion() != newTokens) {
      throw new GenerationException(
          "an answer had %d tokens, %d were asked for".formatted(tokens.completion(), newTokens));
    }
    return tokens;
  }
}
