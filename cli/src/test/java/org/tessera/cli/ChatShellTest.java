package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Function;
import org.jline.terminal.Terminal;
import org.jline.terminal.Terminal.Signal;
import org.jline.terminal.impl.DumbTerminal;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Image;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.api.Timings;
import org.tessera.api.TokenStream;
import org.tessera.api.Usage;
import org.tessera.error.ImageException;

/** The conversation, with a model that only says what it was asked. */
@Timeout(30)
class ChatShellTest {
  @TempDir Path directory;
  private Path picture;
  private final List<ChatRequest> requests = new ArrayList<>();
  private final ByteArrayOutputStream screen = new ByteArrayOutputStream();

  @BeforeEach
  void drawPicture() throws IOException {
    picture = Files.write(directory.resolve("a cat.png"), new byte[] {1, 2, 3});
  }

  @Test
  void keepsTheHistory() throws Exception {
    talk("Hello!\nAnd now?\n");

    assertThat(requests).hasSize(2);
    assertThat(requests.get(1).messages())
        .containsExactly(
            Message.user("Hello!"), Message.assistant("answer 1"), Message.user("And now?"));
    assertThat(shown()).contains("answer 1").contains("answer 2").contains("first token after");
  }

  @Test
  void textIsTakenAsItIs() throws Exception {
    talk("say \"it's\" \\n !x 这 <|im_end|>\n//not a command\n");

    assertThat(requests.get(0).messages())
        .containsExactly(Message.user("say \"it's\" \\n !x 这 <|im_end|>"));
    assertThat(requests.get(1).messages().getLast()).isEqualTo(Message.user("/not a command"));
  }

  @Test
  void picturesGoWithTheNextMessageOnly() throws Exception {
    talk("/image " + picture + "\nWhat is it?\nReally?\n");

    Message first = requests.get(0).messages().getFirst();
    assertThat(first.content()).hasSize(2);
    assertThat(((Part.Picture) first.content().getFirst()).image().name()).isEqualTo("a cat.png");
    assertThat(requests.get(1).messages().getLast()).isEqualTo(Message.user("Really?"));
    assertThat(requests.get(0).input().maxSliceNums()).isEmpty();
    assertThat(shown()).contains("a cat.png goes with the next message");
  }

  @Test
  void videosComeAsFramesWithTheirOwnSettings() throws Exception {
    talk("/video film.mp4\nWhat happens?\n");

    assertThat(requests.getFirst().messages().getFirst().content()).hasSize(4);
    assertThat(requests.getFirst().input().maxSliceNums()).hasValue(2);
    assertThat(requests.getFirst().input().useImageId()).contains(false);
    assertThat(shown()).contains("3 frames go with the next message");
  }

  @Test
  void resetForgetsAllButTheSystemPrompt() throws Exception {
    talk("/system Be brief.\nHello\n/image " + picture + "\n/reset\nAgain\n/system\nThird\n");

    assertThat(requests.get(1).messages())
        .containsExactly(Message.system("Be brief."), Message.user("Again"));
    assertThat(requests.get(2).messages().getFirst().role()).isEqualTo(Role.USER);
  }

  @Test
  void savesWhatMessagesReads() throws Exception {
    Path file = directory.resolve("talk.json");
    talk("/save " + file + "\n/image " + picture + "\nWhat?\n/save " + file + "\n");

    List<Turn> saved = MessagesFile.read(file);
    assertThat(saved).hasSize(2);
    assertThat(new MediaFiles(path -> List.of()).messages(saved).get(1))
        .isEqualTo(Message.assistant("answer 1"));
    assertThat(shown()).contains("there is no conversation to save yet").contains("saved");
  }

  @Test
  void errorsLeaveTheConversationAsItWas() throws Exception {
    talk(
        "/image none.png\n/image\n/nonsense\nHello\nfail\nStill there?\n/exit\nnever\n",
        request -> {
          if (request.messages().getLast().equals(Message.user("fail"))) {
            throw new ImageException("that went wrong");
          }
          return answer(request);
        });

    assertThat(shown())
        .contains("tessera: the picture file none.png cannot be read")
        .contains("tessera: /image needs a file: /image FILE")
        .contains("tessera: there is no command /nonsense; /help lists them")
        .contains("tessera: that went wrong");
    assertThat(requests).hasSize(2);
    assertThat(requests.get(1).messages())
        .containsExactly(
            Message.user("Hello"), Message.assistant("answer 1"), Message.user("Still there?"));
  }

  @Test
  void answersDoNotSteerTheTerminal() throws Exception {
    talk("Hello\n", request -> new Finished("a\tb\nc\u001b[2Jd\u009b1m\rø"));

    assertThat(shown()).contains("a\tb\nc\uFFFD[2Jd\uFFFD1m\uFFFDø");
  }

  @Test
  void interruptStopsTheAnswerAndNotTheProgram() throws Exception {
    ByteArrayInputStream keys =
        new ByteArrayInputStream("Hello\nAgain\n".getBytes(StandardCharsets.UTF_8));
    try (Terminal terminal = terminal(keys)) {
      shell(
              terminal,
              request -> {
                Endless stream = new Endless();
                requests.add(request);
                // From another thread, as a signal comes, once the answer has begun.
                Thread.ofVirtual()
                    .start(() -> {
                      stream.awaitReader();
                      terminal.raise(Signal.INT);
                    });
                return stream;
              })
          .run();
    }

    assertThat(requests).hasSize(2);
    assertThat(requests.get(1).messages())
        .containsExactly(Message.user("Hello"), Message.assistant("word"), Message.user("Again"));
    assertThat(shown()).contains("word").contains("; stopped]");
  }

  private void talk(String keys) throws IOException {
    talk(keys, this::answer);
  }

  private void talk(String keys, Function<ChatRequest, TokenStream> model) throws IOException {
    try (Terminal terminal =
        terminal(new ByteArrayInputStream(keys.getBytes(StandardCharsets.UTF_8)))) {
      shell(terminal, model).run();
    }
  }

  private Terminal terminal(ByteArrayInputStream keys) throws IOException {
    return new DumbTerminal("test", "dumb", keys, screen, StandardCharsets.UTF_8);
  }

  private ChatShell shell(Terminal terminal, Function<ChatRequest, TokenStream> model) {
    Image frame = new Image.Encoded("frame", new byte[0]);
    return new ChatShell(
        terminal,
        model,
        new MediaFiles(file -> List.of(frame, frame, frame)),
        GenerationOptions.greedy(),
        new InputArguments(),
        Optional.empty());
  }

  private String shown() {
    return screen.toString(StandardCharsets.UTF_8);
  }

  private TokenStream answer(ChatRequest request) {
    requests.add(request);
    return new Finished("answer " + requests.size());
  }

  private static ChatResponse response(String text, FinishReason reason) {
    return new ChatResponse(
        text,
        List.of(1, 2),
        List.of(3),
        reason,
        new Usage(1, 2, 0, 0, 0, 0),
        new Timings(1, 0, 0, 1, 2, 10),
        List.of());
  }

  /** An answer that is there already. */
  private record Finished(String text) implements TokenStream {
    @Override
    public Iterator<String> iterator() {
      return List.of(text.substring(0, 3), text.substring(3)).iterator();
    }

    @Override
    public Iterator<Delta> deltas() {
      throw new AssertionError("the shell reads text");
    }

    @Override
    public ChatResponse response() {
      return ChatShellTest.response(text, FinishReason.STOP);
    }

    @Override
    public void cancel() {
      fail("nobody asked to stop");
    }

    @Override
    public void close() {}
  }

  /** An answer that ends only when it is cancelled. */
  private static final class Endless implements TokenStream, Iterator<String> {
    private final BlockingQueue<Boolean> waiting = new LinkedBlockingQueue<>();
    private final BlockingQueue<Boolean> cancelled = new LinkedBlockingQueue<>();
    private boolean started;

    void awaitReader() {
      try {
        waiting.take();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public Iterator<String> iterator() {
      return this;
    }

    @Override
    public boolean hasNext() {
      if (!started) {
        return true;
      }
      waiting.add(true);
      try {
        return !cancelled.take();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public String next() {
      started = true;
      return "word";
    }

    @Override
    public Iterator<Delta> deltas() {
      throw new AssertionError("the shell reads text");
    }

    @Override
    public ChatResponse response() {
      return ChatShellTest.response("word", FinishReason.CANCELLED);
    }

    @Override
    public void cancel() {
      cancelled.add(true);
    }

    @Override
    public void close() {}
  }
}
