package org.tessera.guide;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.networknt.schema.InputFormat;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tessera.api.ResponseFormat;
import org.tessera.error.GenerationException;
import org.tessera.guide.Automaton.State;
import org.tessera.sampling.TokenConstraint;
import org.tessera.text.Tokenizer;
import org.tessera.text.TokenizerVectors;

/** Masks over the vocabulary of the reference checkpoint. */
class GuideTest {
  private static Tokenizer tokenizer;
  private static Guides guides;
  private static int end;

  @BeforeAll
  static void load() {
    tokenizer = Tokenizer.load(TokenizerVectors.checkpoint());
    end = tokenizer.idOf("<|im_end|>").orElseThrow();
    guides = new Guides(tokenizer, Set.of(end), tokenizer.size() + 70);
  }

  @Test
  void masksAreTheTokensWhoseBytesTheAutomatonTakes() {
    Random random = new Random(43);
    int checked = 0;
    for (int i = 0; i < 40; i++) {
      String schema = RandomSchema.make(random);
      Automaton automaton = Languages.automaton(SchemaCompiler.compile(schema));
      TokenConstraint constraint =
          guides.of(new ResponseFormat.JsonSchema(schema)).orElseThrow().get();
      State state = automaton.start();
      for (int step = 0; step < 12; step++) {
        List<Integer> expected = new ArrayList<>();
        for (int id = 0; id < tokenizer.size(); id++) {
          boolean allowed =
              id == end
                  ? state.accepting()
                  : tokenizer.hasToken(id)
                      && !tokenizer.isSpecial(id)
                      && after(automaton, state, id) != null;
          if (allowed) {
            expected.add(id);
          }
        }
        assertThat(allowed(constraint)).as(schema).isEqualTo(expected);
        checked++;
        int next = expected.get(random.nextInt(expected.size()));
        constraint.accept(next);
        if (next == end) {
          break;
        }
        state = after(automaton, state, next);
      }
    }
    assertThat(checked).isGreaterThan(150);
  }

  @Test
  void followingTheMasksGivesWhatAValidatorTakes() {
    Random random = new Random(47);
    int whole = 0;
    for (int i = 0; i < 120; i++) {
      String schema = RandomSchema.make(random);
      TokenConstraint constraint =
          guides.of(new ResponseFormat.JsonSchema(schema)).orElseThrow().get();
      List<Integer> ids = new ArrayList<>();
      while (ids.size() < 600 && (ids.isEmpty() || ids.getLast() != end)) {
        List<Integer> allowed = allowed(constraint);
        assertThat(allowed).as("nowhere is a dead end: " + schema).isNotEmpty();
        List<Integer> closing =
            allowed.stream()
                .filter(id -> id == end || "\"}]".contains(text(List.of(id)).strip()))
                .toList();
        List<Integer> from = !closing.isEmpty() && random.nextInt(3) == 0 ? closing : allowed;
        ids.add(from.get(random.nextInt(from.size())));
        constraint.accept(ids.getLast());
      }
      if (ids.getLast() == end) {
        whole++;
        String text = text(ids.subList(0, ids.size() - 1));
        var errors =
            SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                .getSchema(schema)
                .validate(
                    text,
                    InputFormat.JSON,
                    c -> c.executionConfig(config -> config.formatAssertionsEnabled(true)));
        assertThat(errors).as(schema + "\n" + text).isEmpty();
      }
    }
    assertThat(whole).isGreaterThan(80);
  }

  @Test
  void choicesAreTheirTextsAndThenTheEnd() {
    TokenConstraint constraint =
        guides.of(new ResponseFormat.Choice(List.of("yes", "yesterday", "no"))).orElseThrow().get();
    for (int id : tokenizer.encode("yes")) {
      assertThat(allowed(constraint)).contains(id).doesNotContain(end);
      constraint.accept(id);
    }
    assertThat(allowed(constraint)).contains(end).contains(tokenizer.encode("t")[0]);
    for (int id : tokenizer.encode("terday")) {
      constraint.accept(id);
    }
    assertThat(allowed(constraint)).containsExactly(end);
  }

  @Test
  void whatTheMaskRulesOutIsNotTaken() {
    Guide guide = guides.of(new ResponseFormat.JsonObject()).orElseThrow();
    assertThatThrownBy(() -> guide.get().accept(tokenizer.encode("x")[0]))
        .isInstanceOf(GenerationException.class);
    assertThatThrownBy(() -> guide.get().accept(end)).isInstanceOf(GenerationException.class);
  }

  @Test
  void theSameFormatHasTheSameGuide() {
    ResponseFormat format = new ResponseFormat.Regex("[0-9]+");
    assertThat(guides.of(format)).containsSame(guides.of(new ResponseFormat.Regex("[0-9]+")).get());
    assertThat(guides.of(new ResponseFormat.Text())).isEmpty();
  }

  private static State after(Automaton automaton, State from, int id) {
    State state = from;
    for (byte b : tokenizer.bytes(id)) {
      state = state == null ? null : automaton.next(state, b & 0xFF);
    }
    return state;
  }

  private static List<Integer> allowed(TokenConstraint constraint) {
    List<Integer> ids = new ArrayList<>();
    long[] bits = constraint.allowed();
    for (int id = 0; id < bits.length * 64; id++) {
      if ((bits[id >> 6] >>> id & 1) != 0) {
        ids.add(id);
      }
    }
    return ids;
  }

  private static String text(List<Integer> ids) {
    return tokenizer.decode(ids, false);
  }
}
