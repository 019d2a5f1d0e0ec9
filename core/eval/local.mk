# eval: encoders, victims, cells, the plan and the run
noinst_LTLIBRARIES += core/libeval.la
core_libeval_la_SOURCES = %D%/eval.h %D%/encoder.h %D%/victim.h %D%/session.h \
	%D%/assault.h %D%/classes.h %D%/guard.h %D%/pairs.h %D%/state.h %D%/victim_impl.h \
	%D%/vocabulary.h \
	%D%/assault.c %D%/budget.c %D%/cell.c %D%/class_rows.c %D%/classes.c %D%/embed.c \
	%D%/embeddings.c %D%/encoder.c %D%/eval.c %D%/fitted.c %D%/guard.c \
	%D%/measure.c %D%/pair_rows.c %D%/pairs.c %D%/pictures.c %D%/plan.c %D%/shown.c \
	%D%/state.c %D%/store.c %D%/threat.c \
	%D%/transfer.c %D%/victim.c %D%/victim_text.c %D%/vocabulary.c
